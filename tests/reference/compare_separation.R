# Paired DeLong of two measures on the same subjects: pROC roc.test. Writes compare_separation*.csv.
# Rscript compare_separation.R [data folder]
suppressMessages(library(pROC))
args <- commandArgs(trailingOnly = TRUE)
folder <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA", "../../../shared/data")
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))
set.seed(11)
n <- 44; arm <- rep(c("A", "P"), c(20, 24)); up <- as.numeric(arm == "A"); common <- rnorm(n)
data <- data.frame(subject = sprintf("s%02d", 1:n), arm = arm, strong = round(up * 1.4 + common + 0.5 * rnorm(n), 4),
  weak = round(up * 0.4 + common + 0.7 * rnorm(n), 4), falling = round(-0.8 * up + rnorm(n), 4),
  tied = round(up + rnorm(n)))
write.csv(data, file.path(here, "compare_separation_data.csv"), row.names = FALSE, quote = FALSE)
liver <- read.csv(file.path(folder, "tab_liver_other_trials", "texmex_liver.csv"))
liver <- liver[liver$dose %in% c("A", "D"), ]
real <- data.frame(arm = ifelse(liver$dose == "D", "A", "P"), ALT = log(liver$ALT.M / liver$ALT.B),
  AST = log(liver$AST.M / liver$AST.B), TBL = log(liver$TBL.M / liver$TBL.B))
test <- function(case, d, a, b) {
  make <- function(v) roc(d$arm == "A", d[[v]], direction = "auto", quiet = TRUE, levels = c(FALSE, TRUE))
  t <- roc.test(make(a), make(b), paired = TRUE, method = "delong", conf.level = 0.95)
  data.frame(case = case, measure_1 = a, measure_2 = b, estimate_1 = as.numeric(t$estimate[1]),
    estimate_2 = as.numeric(t$estimate[2]), p_value = t$p.value, conf_low = t$conf.int[1], conf_high = t$conf.int[2])
}
pairs <- list(c("strong", "weak"), c("strong", "falling"), c("weak", "tied"), c("falling", "tied"))
out <- do.call(rbind, c(lapply(pairs, function(p) test("made", data, p[1], p[2])),
  list(test("texmex", real, "ALT", "AST"), test("texmex", real, "ALT", "TBL"))))
for (k in 4:8) out[[k]] <- format(out[[k]], digits = 17)
write.csv(out, file.path(here, "compare_separation.csv"), row.names = FALSE, quote = FALSE)
