# Calibration of predicted probabilities (glm), AUC and paired DeLong (pROC), quadratic kappa by hand.
# Writes biopsy_prediction*.csv beside itself.
suppressMessages(library(pROC))
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))
set.seed(5)
n <- 80; y <- rep(0:1, c(45, 35))
p <- round(plogis(rnorm(n, 1.1 * y - 0.6, 1.2)), 5); q <- round(plogis(rnorm(n, 0.5 * y, 0.8)), 5)
stage <- pmin(4, pmax(0, round(2 * y + rnorm(n)))); score <- round(stage * 0.6 + rnorm(n) * 0.7 + 0.5, 4)
write.csv(data.frame(y, p, q, stage, score), file.path(here, "biopsy_prediction_data.csv"), row.names = FALSE)
lp <- qlogis(p)
both <- coef(glm(y ~ lp, family = binomial, control = list(epsilon = 1e-14)))
large <- coef(glm(y ~ offset(lp), family = binomial, control = list(epsilon = 1e-14)))
one <- roc(y, p, direction = "<", quiet = TRUE); two <- roc(y, q, direction = "<", quiet = TRUE)
t <- roc.test(one, two, paired = TRUE, method = "delong")
w <- lm(stage ~ score)
r <- outer(stage, stage, ">")
values <- c(calibration_slope = unname(both[2]), calibration_intercept = unname(large), auc = as.numeric(auc(one)),
  delong_p = t$p.value, delong_low = t$conf.int[1], delong_high = t$conf.int[2], brier = mean((y - p)^2),
  linear_slope = unname(coef(w)[2]), r = cor(stage, score), mae = mean(abs(stage - score)),
  r2 = 1 - sum((stage - score)^2) / sum((stage - mean(stage))^2),
  concordance = sum(r * (sign(outer(score, score, "-")) + 1) / 2) / sum(r),
  auc_ge_2 = as.numeric(auc(roc(stage >= 2, score, direction = "<", quiet = TRUE))))
write.csv(data.frame(statistic = names(values), value = format(values, digits = 17)),
  file.path(here, "biopsy_prediction.csv"), row.names = FALSE, quote = FALSE)
