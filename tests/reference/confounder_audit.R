# Robust errors of means and slopes: Rscript confounder_audit.R FOLDER
library(sandwich)
folder <- commandArgs(trailingOnly = TRUE)[1]
set.seed(7)
n <- 40
data <- data.frame(USUBJID = rep(sprintf("S%02d", 1:n), each = 2))
data$AGE <- rep(round(rnorm(n, 55, 10)), each = 2)
data$VENDOR <- rep(sample(c("A", "B", "C"), n, TRUE), each = 2)
data$RES <- round(rep(rnorm(n, 0, 0.4), each = 2) + rnorm(2 * n, 0, 0.3) + 0.01 * data$AGE, 6)
write.csv(data, file.path(folder, "confounder_audit_data.csv"), row.names = FALSE, quote = FALSE)
rows <- list()
add <- function(level, part, robust) {
  part$Z <- (part$AGE - mean(part$AGE)) / sd(part$AGE)
  fit <- lm(RES ~ Z, part)
  rows[[length(rows) + 1]] <<- data.frame(level, covariate = "AGE", contrast = "one SD",
    estimate = coef(fit)[2], std_error = sqrt(robust(fit, part)[2, 2]))
  fit <- lm(RES ~ 0 + VENDOR, part)
  v <- robust(fit, part)
  for (pair in list(c(1, 2), c(1, 3), c(2, 3))) {
    w <- replace(replace(rep(0, 3), pair[1], 1), pair[2], -1)
    rows[[length(rows) + 1]] <<- data.frame(level, covariate = "VENDOR",
      contrast = paste(c("A", "B", "C")[pair], collapse = " - "),
      estimate = sum(w * coef(fit)), std_error = sqrt(drop(t(w) %*% v %*% w)))
  }
}
add("row", data, function(fit, part) vcovCL(fit, part$USUBJID, type = "HC1"))
add("subject", data[!duplicated(data$USUBJID), ], function(fit, part) vcovHC(fit, "HC3"))
write.csv(format(do.call(rbind, rows), digits = 15, trim = TRUE),
  file.path(folder, "confounder_audit.csv"), row.names = FALSE, quote = FALSE)
