# Times 10,000 resamples in R: boot (BCa of Hedges g, of the AUC) and coin (max-T, step-down).
#   Rscript resampling.R FOLDER RESAMPLES
# FOLDER/trial.csv: TRT01P (A, P), CHG and TV01..TV30. Prints case,program,seconds.
suppressMessages({library(boot); library(coin)})
words <- commandArgs(TRUE)
trial <- read.csv(file.path(words[1], "trial.csv"))
n <- as.integer(words[2])
trial$TRT01P <- factor(trial$TRT01P, levels = c("P", "A"))
arm <- trial$TRT01P == "A"

hedges <- function(x, y) {
  df <- length(x) + length(y) - 2
  pooled <- sqrt(((length(x) - 1) * var(x) + (length(y) - 1) * var(y)) / df)
  exp(lgamma(df / 2) - log(df / 2) / 2 - lgamma((df - 1) / 2)) * (mean(x) - mean(y)) / pooled
}
auc <- function(x, y) {
  r <- rank(c(x, y))
  (sum(r[seq_along(x)]) - length(x) * (length(x) + 1) / 2) / (length(x) * length(y))
}
two_sample <- function(statistic) function(values, drawn) {
  in_arm <- arm[drawn]
  statistic(values[drawn][in_arm], values[drawn][!in_arm])
}
clock <- function(case, program, call) {
  gc(verbose = FALSE)
  cat(sprintf("%s,%s,%.4f\n", case, program, system.time(call)[["elapsed"]]))
}

set.seed(1)
for (case in c("g", "auc")) {
  statistic <- two_sample(if (case == "g") hedges else auc)
  clock(case, "R boot", {
    drawn <- boot(trial$CHG, statistic, R = n, strata = arm)
    # the jackknife in place of the regression that boot.ci would take
    boot.ci(drawn, type = "bca", L = empinf(drawn, type = "jack"))
  })
}
wide <- as.formula(paste(paste(grep("^TV", names(trial), value = TRUE), collapse = " + "), "~ TRT01P"))
clock("max-T", "R coin", {
  test <- independence_test(wide, data = trial, distribution = approximate(nresample = n))
  pvalue(test, method = "step-down")
})
