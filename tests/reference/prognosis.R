# Performance of predicted risks: concordance of survival, AUC and Brier score of riskRegression.
# Rscript prognosis.R FOLDER writes prognosis_data.csv and prognosis.csv.
library(survival)
folder <- commandArgs(trailingOnly = TRUE)[1]
library(riskRegression)
set.seed(20)
n <- 160
x <- rnorm(n)
true <- rexp(n, 0.12 * exp(0.8 * x))
censored <- pmin(runif(n, 1, 14), rexp(n, 0.04))
d <- data.frame(time = ceiling(4 * pmin(true, censored)) / 4, event = as.integer(true <= censored))
eta <- 0.8 * x + rnorm(n, sd = 0.5)
for (h in c(2, 5, 8)) d[[paste0("risk", h)]] <- pmin(0.995, round(1 - exp(-0.06 * h * exp(0.7 * eta)), 3))
write.csv(d, file.path(folder, "prognosis_data.csv"), row.names = FALSE)

rows <- list()
add <- function(metric, horizon, value) {
  rows[[length(rows) + 1]] <<- data.frame(metric, horizon, value)
}
f <- Surv(time, event) ~ risk8
add("harrell_c", NA, concordance(f, d, reverse = TRUE)$concordance)
add("uno_c", NA, concordance(f, d, reverse = TRUE, timewt = "n/G2", ymax = 8)$concordance)
for (h in c(2, 5, 8)) {
  s <- Score(list(m = as.matrix(d[[paste0("risk", h)]])), Surv(time, event) ~ 1, d, times = h,
             metrics = c("auc", "brier"), cens.model = "km", conf.int = FALSE, summary = "ipa")
  add("auc", h, s$AUC$score$AUC)
  add("brier", h, s$Brier$score$Brier[s$Brier$score$model == "m"])
  add("brier_scaled", h, s$Brier$score$IPA[s$Brier$score$model == "m"])
  km <- summary(survfit(Surv(time, event) ~ 1, d), times = h)$surv
  r <- d[[paste0("risk", h)]]
  add("observed_over_expected", h, (1 - km) / mean(r))
  cut <- transform(d, event = event * (time <= h), x = log(-log(1 - r)))
  add("calibration_slope", h, coef(coxph(Surv(time, event) ~ x, cut, ties = "breslow")))
}
write.csv(do.call(rbind, rows), file.path(folder, "prognosis.csv"), row.names = FALSE)
