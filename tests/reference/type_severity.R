# Severity of tissue types: ridge regression (MASS::lm.ridge) of an outcome on shares, the penalty
# by refitting without each subject. Writes type_severity_data.csv (made up), type_severity.csv.
library(MASS)
folder <- if (length(commandArgs(TRUE)) > 0) commandArgs(TRUE)[1] else "tests/reference"
set.seed(20250702)
n <- 24
raw <- matrix(rgamma(n * 4, c(6, 3, 2, 1)), n, 4, byrow = TRUE)
x <- round(raw / rowSums(raw), 6); x[, 1] <- round(1 - rowSums(x[, -1]), 6)
y <- round(as.vector(x %*% c(1, 3, 6, 4)) + rnorm(n, 0, 0.4), 3)
colnames(x) <- sprintf("TV%02d", 1:4)
write.csv(data.frame(USUBJID = sprintf("s%02d", 1:n), x, NAS = y),
          file.path(folder, "type_severity_data.csv"), row.names = FALSE)
penalties <- exp(seq(log(0.1), log(1000), length.out = 17))
# intercept and raw coefficients with columns scaled once, as in the fit to all subjects
centre <- colMeans(x); size <- sqrt(colMeans(sweep(x, 2, centre)^2))
z <- sweep(sweep(x, 2, centre), 2, size, "/")
ridge <- function(rows, penalty) {
  zz <- z[rows, ]; m <- colMeans(zz)
  w <- sweep(zz, 2, m)
  b <- solve(crossprod(w) + penalty * diag(ncol(z)), crossprod(w, y[rows] - mean(y[rows])))
  list(b = as.vector(b), a = mean(y[rows]) - sum(m * b))
}
# leave-one-out residuals of the linear smoother at a fixed penalty: e / (1 - h)
loo <- function(penalty) {
  u <- svd(z); keep <- u$d > 1e-8 * u$d[1]
  f <- u$d[keep]^2 / (u$d[keep]^2 + penalty)
  h <- 1 / n + rowSums(sweep(u$u[, keep]^2, 2, f, "*"))
  fit <- ridge(1:n, penalty)
  sum(((y - fit$a - z %*% fit$b) / (1 - h))^2)
}
best <- penalties[which.min(sapply(penalties, loo))]
fit <- lm.ridge(y ~ x, lambda = best)
coefs <- coef(fit)[-1]
severity <- mean(y) + coefs - sum(coefs * centre)
write.csv(data.frame(type = 1:4, penalty = format(best, digits = 17),
                     severity = format(as.vector(severity), digits = 17)),
          file.path(folder, "type_severity.csv"), row.names = FALSE, quote = FALSE)
