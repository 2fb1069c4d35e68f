# Covariate-adjusted differences (lm), their permutation over residuals that ignore the arm (full
# enumeration in base R loops), and robust slopes on the dose (lm and sandwich HC2).
# Writes pathways_adjusted_data.csv (made up) and pathways_adjusted.csv.
folder <- if (length(commandArgs(TRUE)) > 0) commandArgs(TRUE)[1] else "tests/reference"
set.seed(20250611)
n <- 18
arm <- rep(c("Active", "Low", "Placebo"), length.out = n)
age <- round(runif(n, 30, 70)); sex <- rep(c("F", "M", "M"), 6)[sample(n)]
own <- round(matrix(runif(n * 3, 0.1, 0.9), n, 3), 3)
y <- round(0.2 * own + matrix(rexp(n * 3, 8), n, 3) + 0.002 * age, 4)
y[arm == "Active", 1] <- y[arm == "Active", 1] + 0.08
y[c(3, 9), 3] <- NA
data <- data.frame(subject = sprintf("s%02d", 1:n), arm, age, sex, own, y)
names(data)[5:10] <- c("b1", "b2", "b3", "v1", "v2", "v3")
write.csv(data, file.path(folder, "pathways_adjusted_data.csv"), row.names = FALSE)

welch <- function(x, g) {
  a <- x[g]; b <- x[!g]
  (mean(a) - mean(b)) / sqrt(var(a) / length(a) + var(b) / length(b))
}
out <- NULL
add <- function(what, variable, value) out <<- rbind(out, data.frame(what, variable, value))
for (j in 1:3) {
  name <- paste0("v", j)
  pair <- data[data$arm != "Low" & !is.na(data[[name]]), ]
  is_arm <- pair$arm == "Active"
  outcome <- pair[[name]]; base <- pair[[paste0("b", j)]]
  add("lm_coef", name, coef(lm(outcome ~ is_arm + age + sex + base, pair))["is_armTRUE"])
  rest <- resid(lm(outcome ~ age + sex + base, pair))
  # a subject without the value keeps its place in the relabelling
  every <- data[data$arm != "Low", ]
  there <- !is.na(every[[name]])
  picks <- combn(nrow(every), sum(every$arm == "Active"))
  null <- apply(picks, 2, function(p) abs(welch(rest, (seq_len(nrow(every)) %in% p)[there])))
  seen <- abs(welch(rest, is_arm))
  add("p_residual", name, mean(null >= seen - 1e-9 * max(1, seen)))
  left <- nrow(pair) - 2
  add("t_residual", name, welch(rest, is_arm) * sqrt((left - 3) / left))

  all <- data[!is.na(data[[name]]), ]
  dose <- c(Placebo = 0, Low = 1, Active = 3)[all$arm]
  fit <- lm(all[[name]] ~ dose)
  add("slope", name, coef(fit)["dose"])
  add("slope_hc2", name, sqrt(sandwich::vcovHC(fit, type = "HC2")["dose", "dose"]))
  fit <- lm(all[[name]] ~ dose + all$age + all$sex + all[[paste0("b", j)]])
  add("slope_adjusted", name, coef(fit)["dose"])
}
out$value <- format(out$value, digits = 17, trim = TRUE)
write.csv(out, file.path(folder, "pathways_adjusted.csv"), row.names = FALSE, quote = FALSE)
