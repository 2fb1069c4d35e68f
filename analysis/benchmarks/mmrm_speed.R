# One timing round of R mmrm (and nlme::gls): called by mmrm_speed.py, prints "case,program,seconds".
#   Rscript mmrm_speed.R <folder with fev.csv, trial.csv, bcva.csv> <rounds> <with gls: 0/1>
args <- commandArgs(TRUE)
formulas <- list(
  fev = FEV1 ~ RACE + SEX + ARMCD * AVISIT + us(AVISIT | USUBJID),
  trial = CHG ~ BASE * AVISIT + TRT01P * AVISIT + us(AVISIT | USUBJID),
  bcva = BCVA_CHG ~ BCVA_BL + RACE + ARMCD * AVISIT + us(AVISIT | USUBJID)
)
fixed <- list(
  fev = FEV1 ~ RACE + SEX + ARMCD * AVISIT,
  trial = CHG ~ BASE * AVISIT + TRT01P * AVISIT,
  bcva = BCVA_CHG ~ BCVA_BL + RACE + ARMCD * AVISIT
)
seconds <- function(call) {
  gc(FALSE)
  as.numeric(system.time(call())["elapsed"])
}
have_mmrm <- requireNamespace("mmrm", quietly = TRUE)
for (case in names(formulas)) {
  data <- read.csv(file.path(args[1], paste0(case, ".csv")), stringsAsFactors = TRUE)
  data$USUBJID <- factor(data$USUBJID)
  for (round in seq_len(as.integer(args[2]))) {
    if (have_mmrm) {
      # summary() computes the Satterthwaite degrees of freedom of all coefficients
      t <- seconds(function() summary(mmrm::mmrm(formulas[[case]], data)))
      cat(sprintf("%s,R mmrm,%.6f\n", case, t))
    }
    if (args[3] == "1" && case != "bcva") {
      t <- seconds(function() nlme::gls(
        fixed[[case]], data, na.action = na.omit,
        correlation = nlme::corSymm(form = ~ as.integer(AVISIT) | USUBJID),
        weights = nlme::varIdent(form = ~ 1 | AVISIT)
      ))
      cat(sprintf("%s,R nlme::gls,%.6f\n", case, t))
    }
  }
}
