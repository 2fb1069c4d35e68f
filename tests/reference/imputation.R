# Reference numbers of tests/endpoints/test_imputation_reference.py: R rbmi 1.5.2 (with mmrm 0.3.18).
#   Rscript imputation.R [data folder] [output folder] [cases, by commas]
# writes imputation_data.csv, imputation_events.csv, imputation_conditional.csv, imputation_pbcseq.csv
# and imputation_draws.csv. The data are drawn here; pbcseq comes from the data folder.
# rbmi's fits stop at a relative change of the likelihood: every fit is finished by Newton steps
# on mmrm's own objective and taken up from there.
suppressMessages({library(mmrm); library(rbmi)})
args <- commandArgs(TRUE)
data_dir <- if (length(args) > 0) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- if (length(args) > 1) args[2] else "."
parts <- strsplit(if (length(args) > 2) args[3] else "conditional,pbcseq,bootstrap,bayes", ",")[[1]]

polished <- function(expr) {
  call <- substitute(expr)[[2]]
  fit <- suppressWarnings(eval(call, parent.frame()))
  theta <- fit$theta_est
  object <- fit$tmb_object
  for (i in 1:6) theta <- theta - solve(object$he(theta), as.numeric(object$gr(theta)))
  call$start <- theta
  call$optimizer <- "nlminb"
  call$optimizer_control <- list(rel.tol = 1e-15, x.tol = 1e-15, abs.tol = 0)
  fit <- suppressWarnings(eval(call, parent.frame()))
  fit$failed <- FALSE
  fit
}
plain_eval <- rbmi:::eval_mmrm
assignInNamespace("eval_mmrm", polished, "rbmi")

## a small trial: monotone dropout, holes, and events after which some go on being seen
set.seed(4711)
n <- 64; d <- 4
visits <- paste("Week", c("04", "12", "24", "48"))
arm <- factor(rep(c("Placebo", "Active"), n / 2), c("Placebo", "Active"))
base <- round(rnorm(n, 10, 2), 2)
sex <- factor(sample(c("F", "M"), n, TRUE))
factor_of <- chol(outer(1:d, 1:d, function(i, j) (1 + 0.2 * i) * (1 + 0.2 * j) * 0.7^abs(i - j)))
y <- matrix(rnorm(n * d), n) %*% factor_of - 0.3 * (base - 10) + 0.4 * (sex == "M")
y <- round(y - outer(arm == "Active", c(0.3, 0.9, 1.4, 1.8)), 3)
event <- ifelse(runif(n) < 0.45, sample(2:d, n, TRUE), d + 1)  # first visit affected
stays <- runif(n) < 0.35                                         # and goes on being seen
for (i in seq_len(n)) if (event[i] <= d && !stays[i]) y[i, event[i]:d] <- NA
# some of those miss the visit at the event and come back later
for (i in seq_len(n)) if (event[i] < d && stays[i]) y[i, event[i]] <- NA
holes <- which(event > d)[1:3]
y[cbind(holes, c(2, 3, 1))] <- NA
long <- data.frame(USUBJID = rep(sprintf("S%02d", 1:n), each = d), TRT01P = rep(arm, each = d),
                   SEX = rep(sex, each = d), AVISIT = rep(factor(visits), n),
                   BASE = rep(base, each = d), CHG = as.vector(t(y)))
long$USUBJID <- factor(long$USUBJID)
reasons <- c("JR", "CIR", "CR", "LMCF", "MAR", "hypothetical")
events <- data.frame(USUBJID = sprintf("S%02d", 1:n), AVISIT = c(visits, NA)[event])
events <- events[event <= d, ]
events$STRATEGY <- rep_len(reasons, nrow(events))
write.csv(long, file.path(out, "imputation_data.csv"), row.names = FALSE, na = "", quote = FALSE)
write.csv(events, file.path(out, "imputation_events.csv"), row.names = FALSE, quote = FALSE)

rows <- list()
record <- function(case, strategy, pooled, prefix) {
  one <- as.data.frame(pooled)
  one <- one[grepl("^trt_", one$parameter), ]
  rows[[length(rows) + 1]] <<- data.frame(
    case = case, strategy = strategy, AVISIT = sub("^trt_", "", one$parameter),
    estimate = formatC(one$est, digits = 15, format = "g", width = 1),
    std_error = formatC(one$se, digits = 15, format = "g", width = 1))
}
save <- function(file) {
  write.csv(do.call(rbind, rows), file.path(out, file), row.names = FALSE, quote = FALSE)
  rows <<- list()
}
dropouts <- function(data, subject, visit, value) {
  do.call(rbind, lapply(split(data, data[[subject]]), function(x) {
    last <- max(0, which(!is.na(x[[value]])))
    if (last == nrow(x)) return(NULL)
    found <- x[last + 1, c(subject, visit)]
    found$strategy <- "MAR"
    found
  }))
}
vars <- set_vars(outcome = "CHG", visit = "AVISIT", subjid = "USUBJID", group = "TRT01P",
                 strategy = "strategy", covariates = c("BASE * AVISIT", "TRT01P * AVISIT"))
adjusted <- vars
adjusted$covariates <- "BASE"
jump <- c(Placebo = "Placebo", Active = "Placebo")
strategies <- c("MAR", "JR", "CR", "CIR", "LMCF")
gone <- long
gone$CHG[as.vector(t(col(y) >= event))] <- NA
ice <- dropouts(gone, "USUBJID", "AVISIT", "CHG")

conditional <- function(case, data, ice, method, strategies, delta = NULL) {
  drawn <- draws(data, ice, vars, method = method, ncores = 1, quiet = TRUE)
  for (s in strategies) {
    update <- ice
    if (s != "given") update$strategy <- s
    completed <- impute(drawn, references = jump, update_strategy = update)
    record(case, s, pool(analyse(completed, ancova, vars = adjusted, delta = delta)))
  }
}
jackknife <- method_condmean(type = "jackknife")
if ("conditional" %in% parts) {
  conditional("common", gone, ice, jackknife, strategies)
  conditional("by arm", gone, ice, method_condmean(type = "jackknife", same_cov = FALSE), strategies)
  conditional("toeph", gone, ice, method_condmean(type = "jackknife", covariance = "toeph"), "JR")
  shift <- gone[c("USUBJID", "AVISIT")]
  shift$delta <- ifelse(gone$TRT01P == "Active" & is.na(gone$CHG), 1.25, 0)
  conditional("delta", gone, ice, jackknife, "JR", delta = shift)
  # every subject by its own strategy; hypothetical: records after the event removed, then MAR
  kept <- long
  own <- merge(events, data.frame(USUBJID = kept$USUBJID, row = seq_len(nrow(kept)),
                                  when = as.character(kept$AVISIT)))
  kept$CHG[with(own, row[STRATEGY == "hypothetical" & when >= AVISIT])] <- NA
  given <- data.frame(USUBJID = factor(events$USUBJID, levels(kept$USUBJID)),
                      AVISIT = factor(events$AVISIT, visits),
                      strategy = ifelse(events$STRATEGY == "hypothetical", "MAR", events$STRATEGY))
  conditional("by subject", kept, given, jackknife, "given")
  save("imputation_conditional.csv")
}

if ("pbcseq" %in% parts) {
  pbc <- read.csv(file.path(data_dir, "tab_r_survival_liver/derived_csv/pbcseq.csv"))
  pbc$AVISIT <- cut(pbc$day, c(-1, 0, 274, 547, 912), labels = c("Baseline", "Month 06", "Month 12", "Month 24"))
  pbc <- pbc[!is.na(pbc$AVISIT), ]
  pbc <- pbc[order(pbc$id, pbc$day), ]
  pbc <- pbc[!duplicated(pbc[c("id", "AVISIT")]), ]
  first <- pbc[pbc$AVISIT == "Baseline", ]
  after <- levels(pbc$AVISIT)[-1]
  # rbmi has no last mean to carry forward for subjects who are never seen again
  first <- first[first$id <= 160 & first$id %in% pbc$id[pbc$AVISIT != "Baseline"], ]
  pbc_long <- expand.grid(AVISIT = factor(after), id = first$id)
  at <- match(paste(pbc_long$id, pbc_long$AVISIT), paste(pbc$id, pbc$AVISIT))
  pbc_long$BASE <- log(first$bili[match(pbc_long$id, first$id)])
  pbc_long$CHG <- log(pbc$bili[at]) - pbc_long$BASE
  pbc_long$TRT01P <- factor(ifelse(first$trt[match(pbc_long$id, first$id)] == 1, "Active", "Placebo"), c("Placebo", "Active"))
  pbc_long$USUBJID <- factor(pbc_long$id)
  pbc_ice <- dropouts(pbc_long, "USUBJID", "AVISIT", "CHG")
  conditional("pbcseq", pbc_long, pbc_ice, jackknife, strategies)
  save("imputation_pbcseq.csv")
}

## draws: pooled by Rubin's rules; the Monte Carlo error is known from the estimates themselves
drawn_case <- function(case, method) {
  drawn <- draws(gone, ice, vars, method = method, ncores = 1, quiet = TRUE)
  for (s in c("MAR", "JR", "CIR")) {
    update <- ice
    update$strategy <- s
    completed <- impute(drawn, references = jump, update_strategy = update)
    found <- analyse(completed, ancova, vars = adjusted)
    record(case, s, pool(found))
    between <- apply(sapply(found$results, function(x) sapply(x[paste0("trt_", visits)], `[[`, "est")), 1, sd)
    rows[[length(rows)]]$monte_carlo <<- signif(between / sqrt(length(found$results)), 6)
  }
}
if (any(c("bootstrap", "bayes") %in% parts)) {
  set.seed(99)
  assignInNamespace("eval_mmrm", plain_eval, "rbmi")
  if ("bootstrap" %in% parts) drawn_case("bootstrap", method_approxbayes(n_samples = 600))
  if ("bayes" %in% parts) drawn_case("bayes", method_bayes(n_samples = 1500, control = control_bayes(warmup = 500, thin = 5, seed = 99)))
  save("imputation_draws.csv")
}
