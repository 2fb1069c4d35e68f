# Reference numbers of tests/endpoints/mmrm/test_mmrm_trials.py: real trials in R mmrm 0.3.18,
# emmeans and nlme::gls.
#   Rscript mmrm_trials.R [data folder] [output folder]
# pbcseq: log bilirubin by visit window. TRISTAN: gadoxetate uptake khe and excretion kbh of
# volunteers, control against rifampicin.
suppressMessages({library(mmrm); library(emmeans); library(nlme)})
args <- commandArgs(TRUE)
data_dir <- if (length(args) > 0) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- if (length(args) > 1) args[2] else "."

polished <- function(formula, data, ...) {
  fit <- mmrm(formula, data, ...)
  object <- fit$tmb_object
  theta <- fit$theta_est
  for (i in 1:8) theta <- theta - solve(object$he(theta), as.numeric(object$gr(theta)))
  mmrm(formula, data, ..., start = theta, optimizer = "nlminb",
       optimizer_control = list(rel.tol = 1e-15, x.tol = 1e-15, abs.tol = 0))
}
rows <- list()
add <- function(case, kind, name, estimate, se = NA, df = NA)
  rows[[length(rows) + 1]] <<- data.frame(case, kind, name, estimate, se, df)

pbc <- read.csv(file.path(data_dir, "tab_r_survival_liver/derived_csv/pbcseq.csv"))
pbc$AVISIT <- cut(pbc$day, c(-1, 0, 274, 547, 912, 1278, 1643),
                  labels = c("Baseline", "Month 06", "Month 12", "Month 24", "Month 36", "Month 48"))
pbc <- pbc[!is.na(pbc$AVISIT), ]
pbc <- pbc[order(pbc$id, pbc$day), ]
pbc <- pbc[!duplicated(pbc[c("id", "AVISIT")]), ]
base <- pbc[pbc$AVISIT == "Baseline", c("id", "bili")]
pbc$LOGBASE <- log(base$bili[match(pbc$id, base$id)])
pbc <- droplevels(pbc[pbc$AVISIT != "Baseline", ])
pbc$LOGBILI <- log(pbc$bili)
pbc$ARM <- factor(ifelse(pbc$trt == 1, "D-penicillamine", "placebo"))
pbc$id <- factor(pbc$id)
for (s in c("us", "toeph", "ar1h", "csh")) for (m in c("Satterthwaite", "Kenward-Roger-Linear")) {
  case <- paste("pbcseq", s, m)
  f <- as.formula(sprintf("LOGBILI ~ LOGBASE * AVISIT + ARM * AVISIT + %s(AVISIT | id)", s))
  fit <- if (m == "Satterthwaite") polished(f, pbc) else polished(f, pbc, method = "Kenward-Roger", vcov = m)
  add(case, "loglik", "loglik", as.numeric(logLik(fit)))
  k <- coef(summary(fit))
  add(case, "coefficient", rownames(k), k[, 1], k[, 2], k[, 3])
  d <- summary(contrast(emmeans(fit, ~ ARM | AVISIT), "revpairwise"))
  add(case, "contrast", as.character(d$AVISIT), d$estimate, d$SE, d$df)
  message(case)
}
# the same model by generalised least squares of nlme
complete <- pbc[!is.na(pbc$LOGBILI), ]
gls_fit <- gls(LOGBILI ~ LOGBASE * AVISIT + ARM * AVISIT, complete, method = "REML",
               correlation = corCompSymm(form = ~ 1 | id), weights = varIdent(form = ~ 1 | AVISIT),
               control = glsControl(tolerance = 1e-12, msTol = 1e-12, maxIter = 500, msMaxIter = 500))
add("pbcseq gls csh", "loglik", "loglik", as.numeric(logLik(gls_fit)))
add("pbcseq gls csh", "coefficient", names(coef(gls_fit)), coef(gls_fit), sqrt(diag(vcov(gls_fit))))

folder <- tempfile()
unzip(file.path(data_dir, "tab_tristan_firstinhuman/all_data.dmr.zip"), "pars.csv", exdir = folder)
pars <- read.csv(file.path(folder, "pars.csv"))
for (parameter in c("khe", "kbh")) {
  one <- pars[pars$parameter == parameter & pars$study %in% c("control", "drug"), ]
  one$LOGK <- log(one$value)
  one$STUDY <- factor(one$study)
  one$SUBJECT <- factor(one$subject)
  for (s in c("us", "cs")) {
    case <- paste("tristan", parameter, s)
    fit <- polished(as.formula(sprintf("LOGK ~ STUDY + %s(STUDY | SUBJECT)", s)), one,
                    method = "Kenward-Roger", vcov = "Kenward-Roger-Linear")
    add(case, "loglik", "loglik", as.numeric(logLik(fit)))
    k <- coef(summary(fit))
    add(case, "coefficient", rownames(k), k[, 1], k[, 2], k[, 3])
  }
}
all <- do.call(rbind, rows)
for (k in c("estimate", "se", "df"))
  all[[k]] <- ifelse(is.na(all[[k]]), "", formatC(all[[k]], digits = 15, format = "g", width = 1))
write.csv(all, file.path(out, "mmrm_trials.csv"), row.names = FALSE)
