# Reference terms of tests/endpoints/test_formula.py: R's terms() and model.matrix().
#   Rscript formula.R [output folder]
# labels: of terms(); updated: after update(f, . ~ .), as R's mmrm makes its formula;
# columns: of model.matrix on a small frame.
out <- if (length(commandArgs(TRUE))) commandArgs(TRUE)[1] else "."
d <- data.frame(y = 1:24 / 7, x = 1:24, z.1 = (1:24 * 7) %% 5 + 0.5,
                a = rep(c("p", "q"), 12), b = rep(c("k", "l", "m"), 8), w = rep(c(2, 4, 12), 8),
                stringsAsFactors = TRUE)
formulas <- c(
  "1", "a", "0 + a", "a - 1", "-1 + x + a", "x + 0", "a:b", "a:b + b", "b + b:a", "a / b",
  "b / a", "a / x", "x / a", "a * b - a", "a * b - b", "a * b * x - a:b:x", "(a + b + x)^2",
  "(a + b + x)^3 - a:b", "a %in% b", "b + a %in% b", "0 + a:b", "0 + a:b + x", "a:x", "a:x + x",
  "a:b:x", "x:z.1", "x * z.1", "I(x^2) + x", "I((x - 10)^2) * a", "I((x - 10) / (z.1 + 1))",
  "I(x / 2 / 3)", "I(x - (2 - z.1))", "I(-x)", "I(x^-1)", "I(2^x / 1e6)", "I(x / 100000 + 0.50)", "I(x * 1000 + 1e-3)", "log(x)", "log(x + 1):a",
  "log(x / z.1) * b", "sqrt(x) + exp(x / 100)", "a * log(x)", "log(x) * a", "factor(w) * a",
  "a + factor(w):x", "a * (b + x)", "a + b %in% (a + x)", "(a + b):(x + z.1)", "a + b + a:b + a",
  "x + I(x > 3)", "b:a + a:x", "x:b + a:b", "(a + x - x) * b", "1 + a", "a + 1 - 1", "a * x * b"
)
formulas <- formulas[!grepl(">", formulas)]
labels <- function(t) paste(c(if (attr(t, "intercept")) "1", gsub(" %in% ", ":", attr(t, "term.labels"))), collapse = " | ")
rows <- lapply(formulas, function(f) {
  g <- as.formula(paste("y ~", f))
  plain <- terms(g)
  data.frame(formula = f, labels = labels(plain), updated = labels(terms(update(g, . ~ .))),
             columns = paste(colnames(model.matrix(g, d)), collapse = " | "))
})
write.csv(do.call(rbind, rows), file.path(out, "formula.csv"), row.names = FALSE)
