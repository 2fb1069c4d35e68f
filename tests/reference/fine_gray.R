# Reference numbers for tests/endpoints/test_fine_gray.py.
# Usage: Rscript fine_gray.R [data folder]; writes fine_gray*.csv into the folder of this script.
suppressMessages({library(survival); library(cmprsk)})
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
folder <- file.path(data, "tab_r_survival_liver")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)
tight <- coxph.control(eps = 1e-14, iter.max = 100, toler.chol = 1e-15)

tp <- read.csv(file.path(folder, "transplant.csv"))
tp <- tp[!is.na(tp$age), ]
tp$futime <- tp$futime + 1  # crr takes censorings at time 0 for earlier than events at time 0
tp$kind <- match(tp$event, c("death", "ltx", "withdraw")); tp$kind[is.na(tp$kind)] <- 0
pbc <- read.csv(file.path(folder, "pbc.csv"))
pbc <- pbc[!is.na(pbc$trt), ]

untied <- pbc$time + rank(pbc$id) / 1000

# Fine and Gray's sandwich by explicit sums: crr's own mixes the groups of censoring
sandwich_error <- function(time, kind, X, code, group, beta) {
  n <- length(time); e <- exp(drop(X %*% beta)); ev <- sort(unique(time[kind == code]))
  G <- function(g, t) { if (t > max(time[group == g])) return(0)
    s <- 1; for (u in sort(unique(time[group == g & kind == 0]))) if (u < t)
      s <- s * (1 - sum(time == u & kind == 0 & group == g) / sum(time >= u & group == g)); s }
  gs <- sort(unique(group))
  Gt <- sapply(ev, function(t) sapply(gs, G, t = t)); Gt <- matrix(Gt, nrow = length(gs))
  Gi <- mapply(function(g, t) G(g, t), group, time)
  W <- sapply(seq_along(ev), function(k) ifelse(time >= ev[k], 1,
    ifelse(kind > 0 & kind != code, Gt[match(group, gs), k] / Gi, 0)))
  S0 <- colSums(W * e); E <- t(W * e) %*% X / S0
  dL <- sapply(ev, function(t) sum(time == t & kind == code)) / S0
  A <- matrix(0, ncol(X), ncol(X)); eta <- psi <- matrix(0, n, ncol(X))
  for (k in seq_along(ev)) { D <- sweep(X, 2, E[k, ])
    A <- A + t(D * (W[, k] * e)) %*% D * dL[k]
    eta <- eta + D * (W[, k] * ((time == ev[k] & kind == code) - e * dL[k])) }
  for (g in gs) for (u in sort(unique(time[group == g & kind == 0]))) {
    at <- time >= u & group == g; q <- rep(0, ncol(X))
    for (k in which(ev >= u)) { j <- group == g & kind > 0 & kind != code & time < u
      q <- q + colSums(sweep(X[j, , drop = FALSE], 2, E[k, ]) * (W[j, k] * e[j])) * dL[k] }
    dead <- time == u & kind == 0 & group == g
    psi <- psi + outer(dead - at * sum(dead) / sum(at), q / sum(at)) }
  sqrt(diag(solve(A) %*% crossprod(eta + psi) %*% solve(A)))
}

one <- function(name, time, kind, X, code, group = NULL) {
  m <- if (is.null(group)) crr(time, kind, X, failcode = code, gtol = 1e-13, maxiter = 60)
       else crr(time, kind, X, failcode = code, cengroup = group, gtol = 1e-13, maxiter = 60)
  d <- data.frame(time = time, kind = factor(kind, 0:max(kind)), X)
  d$id <- seq_len(nrow(d))
  d$group <- if (is.null(group)) 1 else group
  f <- finegray(Surv(time, kind) ~ . + strata(group), d, etype = as.character(code), id = id)
  cf <- coxph(as.formula(paste("Surv(fgstart, fgstop, fgstatus) ~", paste(colnames(X), collapse = "+"))), f,
    weights = fgwt, ties = "breslow", control = tight, cluster = f$id)
  base <- cumsum(m$bfitj) * exp(sum(m$coef * colMeans(X)))
  list(coef = data.frame(model = name, term = colnames(X), estimate = m$coef, std_error = sqrt(diag(m$var)),
    explicit_error = sandwich_error(time, kind, X, code, d$group, m$coef), loglik = m$loglik, loglik_null = m$loglik.null,
    finegray = coef(cf), finegray_error = sqrt(diag(vcov(cf)))),
    base = data.frame(model = name, time = m$uftime, hazard = base))
}
X <- function(f, d) { x <- model.matrix(f, d)[, -1, drop = FALSE]; colnames(x) <- make.names(colnames(x)); x }
fits <- list(
  one("death", tp$futime, tp$kind, X(~ age + sex + abo, tp), 1),
  one("ltx", tp$futime, tp$kind, X(~ age + sex + abo, tp), 2),
  one("ltx_groups", tp$futime, tp$kind, X(~ age + sex, tp), 2, tp$abo),
  one("pbc_death", pbc$time, pbc$status, X(~ factor(trt) + age + log(bili) + edema, pbc), 2),
  one("pbc_transplant", pbc$time, pbc$status, X(~ factor(trt) + age, pbc), 1),
  # finegray takes tied events out of the risk set of censoring; without ties both agree
  one("pbc_untied", untied, pbc$status, X(~ factor(trt) + age + log(bili), pbc), 2),
  one("pbc_quarters", ceiling(pbc$time / 91.3125), pbc$status, X(~ factor(trt) + age + log(bili), pbc), 2))
write(do.call(rbind, lapply(fits, `[[`, "coef")), "fine_gray.csv")
b <- do.call(rbind, lapply(fits, `[[`, "base"))
write(b[b$model %in% c("pbc_transplant", "pbc_quarters"), ], "fine_gray_baseline.csv")

# cause-specific hazards: other causes censored
cs <- function(name, time, event, f, d) { d$t_ <- time; d$e_ <- event
  m <- coxph(update(f, Surv(t_, e_) ~ .), d, control = tight)
  data.frame(model = name, estimate = coef(m), std_error = sqrt(diag(vcov(m)))) }
write(rbind(cs("ltx", tp$futime, tp$kind == 2, ~ age + sex + abo, tp),
  cs("pbc_transplant", pbc$time, pbc$status == 1, ~ factor(trt) + age, pbc)), "fine_gray_cause_specific.csv")
