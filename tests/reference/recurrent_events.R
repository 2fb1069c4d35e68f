# Reference numbers for tests/endpoints/test_recurrent_events.py.
# Usage: Rscript recurrent_events.R [data folder]; writes recurrent_events*.csv into the folder of this script.
suppressMessages({library(survival); library(MASS)})
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
folder <- file.path(data, "tab_r_survival_liver")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)
tight <- coxph.control(eps = 1e-14, iter.max = 100, toler.chol = 1e-15)

# udca has no overdispersion, where glm.nb has no maximum: the Poisson limit
# udca: every non-fatal event of a subject; events of one day count once
u <- read.csv(file.path(folder, "udca.csv"), na.strings = c("", "NA"))
u <- u[as.Date(u$last.dt) > as.Date(u$entry.dt), ]
kinds <- c("hprogress.dt", "varices.dt", "ascites.dt", "enceph.dt", "double.dt", "worsen.dt")
u$end <- as.numeric(as.Date(u$last.dt) - as.Date(u$entry.dt))
records <- function(step) do.call(rbind, lapply(seq_len(nrow(u)), function(i) {
  d <- step * ceiling(as.numeric(as.Date(unlist(u[i, kinds])) - as.Date(u$entry.dt[i])) / step)
  end <- step * ceiling(u$end[i] / step)
  d <- sort(unique(d)); d <- d[d > 0 & d <= end]
  t <- c(d, if (!length(d) || max(d) < end) end)
  data.frame(id = u$id[i], trt = u$trt[i], stage = u$stage[i], bili = u$bili[i], start = c(0, t[-length(t)]),
    stop = t, event = as.integer(t %in% d)) }))
rec <- records(1); quarters <- records(91)
per_subject <- function(r) { y <- aggregate(event ~ id, r, sum); x <- r[!duplicated(r$id), ]
  e <- aggregate(cbind(len = r$stop - r$start) ~ id, r, sum)
  x$y <- y$event[match(x$id, y$id)]; x$e <- e$len[match(x$id, e$id)]; x }
ag <- function(name, f, r, ties = "efron") { environment(f) <- environment(); m <- coxph(f, r, cluster = r$id, ties = ties, control = tight)
  s <- summary(m)$coefficients
  data.frame(model = name, estimate = coef(m), std_error = sqrt(diag(vcov(m))), naive_error = sqrt(diag(m$naive.var)),
    loglik = m$loglik[2], dispersion = NA) }
nb <- function(name, f, r) { x <- per_subject(r); environment(f) <- environment()
  m <- glm.nb(f, x, control = glm.control(epsilon = 1e-13, maxit = 200)); s <- summary(m)$coefficients[-1, , drop = FALSE]
  data.frame(model = name, estimate = s[, 1], std_error = s[, 2], naive_error = NA, loglik = as.numeric(logLik(m)),
    dispersion = 1 / m$theta) }
pois <- function(name, f, r) { x <- per_subject(r); environment(f) <- environment()
  m <- glm(f, poisson, x, control = glm.control(epsilon = 1e-13, maxit = 200)); s <- summary(m)$coefficients[-1, , drop = FALSE]
  data.frame(model = name, estimate = s[, 1], std_error = s[, 2], naive_error = NA, loglik = as.numeric(logLik(m)), dispersion = 0) }
u0 <- rec[!is.na(rec$stage), ]
# counting process with gaps: six months off after each event
gap <- rec; later <- gap$start > 0; gap$start[later] <- pmin(gap$start[later] + 180, gap$stop[later])
gap <- gap[gap$stop > gap$start, ]

# nafld: first diagnoses after entry of up to nine comorbidities, by sex
n1 <- read.csv(file.path(folder, "nafld1.csv")); n3 <- read.csv(file.path(folder, "nafld3.csv"))
n3 <- n3[n3$id %% 10 == 0 & n3$days > 0, ]; n1 <- n1[n1$id %% 10 == 0 & n1$futime > 0, ]
n3 <- unique(n3[, c("id", "days")])
n3 <- n3[n3$id %in% n1$id, ]; n3 <- n3[n3$days <= n1$futime[match(n3$id, n1$id)], ]
nf <- do.call(rbind, lapply(seq_len(nrow(n1)), function(i) { d <- sort(n3$days[n3$id == n1$id[i]])
  t <- c(d, if (!length(d) || max(d) < n1$futime[i]) n1$futime[i])
  data.frame(id = n1$id[i], trt = n1$male[i], age = n1$age[i], start = c(0, t[-length(t)]), stop = t, event = as.integer(t %in% d)) }))

write(rbind(
  ag("udca_ag", Surv(start, stop, event) ~ trt, rec), pois("udca_nb", y ~ trt + offset(log(e)), rec),
  ag("udca_covariates_ag", Surv(start, stop, event) ~ trt + log(bili), rec),
  pois("udca_covariates_nb", y ~ trt + log(bili) + offset(log(e)), rec),
  ag("udca_strata_ag", Surv(start, stop, event) ~ trt + strata(stage), u0),
  pois("udca_strata_nb", y ~ trt + factor(stage) + offset(log(e)), u0),
  ag("udca_breslow_ag", Surv(start, stop, event) ~ trt + log(bili), quarters, "breslow"),
  ag("udca_efron_ag", Surv(start, stop, event) ~ trt + log(bili), quarters),
  ag("udca_gaps_ag", Surv(start, stop, event) ~ trt, gap), nb("udca_gaps_nb", y ~ trt + offset(log(e)), gap),
  ag("nafld_ag", Surv(start, stop, event) ~ trt + age, nf), nb("nafld_decades_nb", y ~ trt + factor(pmax(pmin(age %/% 10, 7), 3)) + offset(log(e)), nf), nb("nafld_nb", y ~ trt + age + offset(log(e)), nf)),
  "recurrent_events.csv")

mcf <- function(name, r) { s <- survfit(Surv(start, stop, event) ~ trt, r, id = r$id, robust = TRUE)
  a <- rep(names(s$strata), s$strata)
  d <- data.frame(model = name, arm = sub("trt=", "", a), time = s$time, n_risk = s$n.risk, n_event = s$n.event,
    estimate = s$cumhaz, std_error = s$std.chaz)
  d[d$n_event > 0, ] }
m <- rbind(mcf("udca", rec), mcf("gaps", gap))
n <- mcf("nafld", nf); m <- rbind(m, n[seq(1, nrow(n), by = 40), ])
write(m, "recurrent_events_mean.csv")
r <- per_subject(rec); write(do.call(rbind, lapply(split(r, r$trt), function(d) data.frame(trt = d$trt[1], n = nrow(d),
  n_with_event = sum(d$y > 0), events = sum(d$y), exposure = sum(d$e)))), "recurrent_events_rates.csv")
