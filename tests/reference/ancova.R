# Reference numbers of tests/endpoints/test_ancova.py: R lm, emmeans, sandwich.
#   Rscript ancova.R [data folder] [output folder]
suppressMessages({library(emmeans); library(sandwich)})
args <- commandArgs(TRUE)
data_dir <- if (length(args) > 0) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- if (length(args) > 1) args[2] else "."
fev <- read.csv(file.path(data_dir, "tab_mmrm_artificial/derived_csv/fev_data.csv"), stringsAsFactors = TRUE)
pbc <- read.csv(file.path(data_dir, "tab_r_survival_liver/derived_csv/pbc.csv"))
pbc <- pbc[!is.na(pbc$trt), ]
pbc$arm <- ifelse(pbc$trt == 1, "D-penicillamine", "placebo")
pbc$stage <- factor(pbc$stage)

rows <- list()
add <- function(case, kind, name, estimate, se, df)
  rows[[length(rows) + 1]] <<- data.frame(case, kind, name, estimate, se, df)
study <- function(case, fit, spec, vcov = NULL) {
  V <- if (is.null(vcov)) stats::vcov(fit, complete = FALSE) else vcov(fit)
  k <- coef(fit)
  se <- setNames(rep(NA_real_, length(k)), names(k))
  se[!is.na(k)] <- sqrt(diag(V))[names(k)[!is.na(k)]]
  add(case, "coefficient", names(k), k, se, fit$df.residual)
  if (!is.null(spec)) for (w in c("equal", "proportional", "cells")) {
    em <- if (is.null(vcov)) emmeans(fit, spec, weights = w) else emmeans(fit, spec, weights = w, vcov. = V)
    s <- summary(em)
    add(case, paste("lsmeans", w), as.character(s[[1]]), s$emmean, s$SE, s$df)
    d <- summary(contrast(em, "revpairwise"))
    add(case, paste("contrast", w), as.character(d$contrast), d$estimate, d$SE, d$df)
  }
}
visit4 <- subset(fev, AVISIT == "VIS4")
study("covariates", lm(FEV1 ~ FEV1_BL + RACE + SEX + ARMCD, visit4), ~ARMCD)
study("interaction", lm(FEV1 ~ FEV1_BL * ARMCD + RACE * ARMCD + SEX, visit4), ~ARMCD)
study("nested coding", lm(FEV1 ~ SEX + RACE:SEX + ARMCD:SEX, visit4), NULL)
study("margins", lm(FEV1 ~ ARMCD + ARMCD:RACE + FEV1_BL:SEX, visit4), NULL)
study("no intercept", lm(FEV1 ~ 0 + ARMCD + RACE + FEV1_BL, visit4), ~ARMCD)
for (type in c("HC0", "HC1", "HC2", "HC3"))
  study(type, lm(FEV1 ~ FEV1_BL + RACE * ARMCD, visit4), ~ARMCD, function(f) vcovHC(f, type = type))
study("transformed", lm(log(bili) ~ log(albumin) + I(age^2) + stage + arm, pbc), ~arm)
pbc$twice <- 2 * pbc$age + 1
study("aliased", lm(log(bili) ~ age + twice + sex + arm, pbc), ~arm)
study("three arms", lm(FEV1 ~ FEV1_BL + SEX + RACE, visit4), ~RACE)
for (v in levels(fev$AVISIT))
  study(paste("by", v), lm(FEV1 ~ FEV1_BL + RACE + ARMCD, subset(fev, AVISIT == v)), ~ARMCD)
all <- do.call(rbind, rows)
for (k in c("estimate", "se", "df")) all[[k]] <- ifelse(is.na(all[[k]]), "", formatC(all[[k]], digits = 15, format = "g"))
write.csv(all, file.path(out, "ancova.csv"), row.names = FALSE)
