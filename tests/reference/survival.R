# Reference numbers for tests/endpoints/test_survival.py.
# Usage: Rscript survival.R [data folder]; writes survival_*.csv beside this script's folder.
suppressMessages({library(survival); library(cmprsk)})
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
folder <- file.path(data, "tab_r_survival_liver")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
options(digits = 17)
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)

pbc <- read.csv(file.path(folder, "pbc.csv"))
pbc <- pbc[!is.na(pbc$trt), ]
pbc$event <- as.integer(pbc$status == 2)
pbc$arm <- pbc$trt
tight <- coxph.control(eps = 1e-14, iter.max = 50, toler.chol = 1e-15)

# Kaplan-Meier
fit <- survfit(Surv(time, event) ~ arm, pbc, conf.type = "log-log")
s <- summary(fit, censored = TRUE)
write(data.frame(arm = sub("arm=", "", s$strata), time = s$time, n_risk = s$n.risk, n_event = s$n.event,
  n_censor = s$n.censor, estimate = s$surv, std_error = s$std.err, conf_low = s$lower, conf_high = s$upper),
  "survival_km_curve.csv")
tab <- summary(fit)$table
# stage 4 and 3 reach the median with both limits
fit4 <- survfit(Surv(time, event) ~ stage, pbc, conf.type = "log-log")
tab4 <- summary(fit4)$table
write(data.frame(group = c("arm1", "arm2", paste0("stage", 1:4)), n = c(tab[, "records"], tab4[, "records"]),
  events = c(tab[, "events"], tab4[, "events"]), median = c(tab[, "median"], tab4[, "median"]),
  conf_low = c(tab[, "0.95LCL"], tab4[, "0.95LCL"]), conf_high = c(tab[, "0.95UCL"], tab4[, "0.95UCL"])),
  "survival_km_median.csv")
at <- summary(fit, times = c(0, 500, 1000, 2000, 4000))
write(data.frame(arm = sub("arm=", "", at$strata), time = at$time, n_risk = at$n.risk, estimate = at$surv),
  "survival_km_at.csv")

# log-rank: two arms, stratified, four groups
lr <- function(f, name) { d <- survdiff(f, pbc); k <- length(d$n)
  o <- if (is.matrix(d$obs)) rowSums(d$obs) else d$obs; e <- if (is.matrix(d$exp)) rowSums(d$exp) else d$exp
  data.frame(test = name, statistic = d$chisq, df = k - 1, observed1 = o[1], expected1 = e[1]) }
write(rbind(lr(Surv(time, event) ~ arm, "arm"), lr(Surv(time, event) ~ arm + strata(stage), "arm_by_stage"),
  lr(Surv(time, event) ~ stage, "stage"), lr(Surv(time, event) ~ stage + strata(sex), "stage_by_sex")),
  "survival_logrank.csv")

# Cox; 'months' makes many ties
pbc$months <- ceiling(pbc$time / 91.3125)
pbc$edema_f <- factor(pbc$edema)
cx <- function(f, name, ties) { m <- coxph(f, pbc, ties = ties, control = tight); co <- summary(m)$coefficients
  z <- cox.zph(m)$table; t <- summary(m)
  list(coef = data.frame(model = name, ties = ties, k = seq_len(nrow(co)), estimate = co[, "coef"], std_error = co[, "se(coef)"],
    p_value = co[, "Pr(>|z|)"], loglik = m$loglik[2], lr = t$logtest[1], wald = sum(m$coefficients * solve(m$var, m$coefficients)), score = t$sctest[1]),
    zph = data.frame(model = name, ties = ties, row = seq_len(nrow(z)), statistic = z[, "chisq"], df = z[, "df"], p_value = z[, "p"])) }
models <- list(
  cx(Surv(time, event) ~ arm + age + edema_f + log(bili), "days", "efron"),
  cx(Surv(months, event) ~ arm + age + edema_f + log(bili), "quarters", "efron"),
  cx(Surv(months, event) ~ arm + age + edema_f + log(bili), "quarters", "breslow"),
  cx(Surv(months, event) ~ age + log(bili) + strata(edema_f), "strata", "efron"))
write(do.call(rbind, lapply(models, `[[`, "coef")), "survival_cox.csv")
write(do.call(rbind, lapply(models, `[[`, "zph")), "survival_cox_zph.csv")

# RMST
rows <- do.call(rbind, lapply(c(1000, 2000, 4000), function(tau) {
  t <- summary(survfit(Surv(time, event) ~ arm, pbc), rmean = tau)$table
  data.frame(tau = tau, arm = 1:2, estimate = t[, grep("^.?rmean", colnames(t))], std_error = t[, "se(rmean)"]) }))
write(rows, "survival_rmst.csv")

# competing risks: transplant waiting list by blood group; pbc transplant and death by arm
tp <- read.csv(file.path(folder, "transplant.csv"))
tp$kind <- match(tp$event, c("death", "ltx", "withdraw")); tp$kind[is.na(tp$kind)] <- 0
ci <- cuminc(tp$futime, tp$kind, tp$abo)
cis <- cuminc(tp$futime, tp$kind, tp$abo, strata = tp$sex)
pc <- cuminc(pbc$time, pbc$status, pbc$arm)
tests <- rbind(data.frame(data = "transplant", cause = 1:3, ci$Tests), data.frame(data = "transplant_by_sex", cause = 1:3, cis$Tests),
  data.frame(data = "pbc", cause = 1:2, pc$Tests))
write(tests, "survival_gray.csv")
points <- function(x, name, times) { p <- timepoints(x, times)
  do.call(rbind, lapply(seq_len(nrow(p$est)), function(i) data.frame(data = name, group = rownames(p$est)[i], time = times,
    estimate = p$est[i, ], std_error = sqrt(p$var[i, ])))) }
write(rbind(points(ci, "transplant", c(50, 200, 500, 1000)), points(pc, "pbc", c(500, 1000, 2000, 4000))), "survival_cuminc.csv")
