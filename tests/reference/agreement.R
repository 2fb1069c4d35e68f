# Reference numbers for tests/endpoints/test_agreement.py: Rscript agreement.R [data folder]
suppressMessages({library(psych); library(vcd)})
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)
seq_ <- read.csv(file.path(data, "tab_r_survival_liver", "pbcseq.csv"))
seq_$visit <- ave(seq_$day, seq_$id, FUN = rank)

# ICC: albumin at the first four visits; subjects with all four
wide <- reshape(seq_[seq_$visit <= 4, c("id", "visit", "albumin")], idvar = "id", timevar = "visit", direction = "wide")
wide <- wide[complete.cases(wide), -1]
shrout <- matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7), ncol = 4, byrow = TRUE)
set.seed(3); noise <- matrix(round(rnorm(30), 3), ncol = 3)
one <- function(x, name) { r <- ICC(x, lmer = FALSE)$results; data.frame(data = name, form = r$type, estimate = r$ICC, statistic = r$F,
  df1 = r$df1, df2 = r$df2, p_value = r$p, conf_low = r$`lower bound`, conf_high = r$`upper bound`) }
write(rbind(one(as.matrix(wide), "albumin"), one(shrout, "shrout"), one(noise, "noise")), "agreement_icc.csv")
write(data.frame(subject = rep(1:10, 3), rater = rep(1:3, each = 10), value = c(noise)), "agreement_icc_noise.csv")

# incomplete tables: albumin at the first four visits of everybody, platelets at the first three of every fourth
# subject, Shrout's table with gaps; components of lme4
suppressMessages(library(lme4))
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 1e-2, rhoend = 1e-12, maxfun = 1e5), calc.derivs = FALSE)
gaps <- function(d, name) { d <- d[!is.na(d$value), ]; d$rater <- factor(d$rater); d$id <- factor(d$id)
  v <- function(m) { x <- as.data.frame(VarCorr(m)); setNames(x$vcov, x$grp) }
  one <- v(lmer(value ~ 1 + (1 | id), d, control = tight)); two <- v(lmer(value ~ 1 + (1 | id) + (1 | rater), d, control = tight))
  mix <- v(lmer(value ~ rater + (1 | id), d, control = tight)); k <- nlevels(d$rater)
  up <- function(r) k * r / (1 + (k - 1) * r)
  r <- c(ICC1 = one[["id"]] / sum(one), ICC2 = two[["id"]] / sum(two), ICC3 = mix[["id"]] / sum(mix))
  f1 <- anova(lm(value ~ id, d)); f3 <- anova(lm(value ~ rater + id, d))
  rbind(data.frame(data = name, what = "estimate", key = c(names(r), paste0(names(r), "k")), value = c(r, up(r))),
    data.frame(data = name, what = "variance", key = c("one-way subjects", "one-way residual", "two-way random subjects",
      "two-way random raters", "two-way random residual", "two-way mixed subjects", "two-way mixed residual"),
      value = c(one[["id"]], one[["Residual"]], two[["id"]], two[["rater"]], two[["Residual"]], mix[["id"]], mix[["Residual"]])),
    data.frame(data = name, what = "F", key = c("ICC1", "ICC3"), value = c(f1[1, 4], f3[2, 4])),
    data.frame(data = name, what = "df2", key = c("ICC1", "ICC3"), value = c(f1[2, 1], f3[3, 1])),
    data.frame(data = name, what = "p", key = c("ICC1", "ICC3"), value = c(f1[1, 5], f3[2, 5]))) }
early <- seq_[seq_$visit <= 4, ]; some <- seq_[seq_$visit <= 3 & seq_$id %% 4 == 0, ]
holes <- data.frame(id = rep(1:6, 4), rater = rep(1:4, each = 6), value = c(shrout)); holes <- holes[-c(2, 9, 15, 22), ]
write(rbind(gaps(data.frame(id = early$id, rater = early$visit, value = early$albumin), "albumin"),
  gaps(data.frame(id = some$id, rater = some$visit, value = some$platelet), "platelet"), gaps(holes, "shrout")), "agreement_icc_reml.csv")

# Bland-Altman: ALP before and under treatment
tx <- read.csv(file.path(data, "tab_liver_other_trials", "texmex_liver.csv"))
d <- tx$ALP.M - tx$ALP.B; m <- (tx$ALP.M + tx$ALP.B) / 2; n <- length(d); s <- sd(d); z <- qnorm(.975)
# pt(ncp > 37.6) is only a normal approximation (?pt), so the noncentral t is integrated over the chi density
nct <- function(q, df, ncp) { l <- sqrt(qchisq(c(1e-16, .5, 1 - 1e-16), df) / df); f <- function(s) pnorm(q * s - ncp) * dchisq(s^2 * df, df) * 2 * s * df
  integrate(f, l[1], l[2], rel.tol = 1e-12)$value + integrate(f, l[2], l[3], rel.tol = 1e-12)$value }
root <- function(p, ncp) uniroot(function(q) nct(q, n - 1, ncp) - p, c(ncp - 10, ncp + 10), tol = 1e-13)$root
near <- root(.025, z * sqrt(n)) * s / sqrt(n); far <- root(.975, z * sqrt(n)) * s / sqrt(n)
t <- t.test(d); f <- lm(d ~ m); co <- summary(f)$coefficients[2, ]; chi <- qchisq(c(.975, .025), n - 1)
write(data.frame(quantity = c("bias", "lower limit", "upper limit", "standard deviation", "slope"),
  estimate = c(mean(d), mean(d) - z * s, mean(d) + z * s, s, co[1]),
  conf_low = c(t$conf.int[1], mean(d) - far, mean(d) + near, s * sqrt((n - 1) / chi[1]), confint(f)[2, 1]),
  conf_high = c(t$conf.int[2], mean(d) - near, mean(d) + far, s * sqrt((n - 1) / chi[2]), confint(f)[2, 2]),
  p_value = c(t$p.value, NA, NA, NA, co[4])), "agreement_bland_altman.csv")

# kappa: histologic stage at the first and second visit
a <- seq_[seq_$visit == 1, c("id", "stage")]; b <- seq_[seq_$visit == 2, c("id", "stage")]; st <- merge(a, b, by = "id")
tab <- table(factor(st$stage.x, 1:4), factor(st$stage.y, 1:4))
k <- function(w, name) { r <- if (w == "none") Kappa(tab)$Unweighted else Kappa(tab, weights = w)$Weighted
  data.frame(weights = name, estimate = r[1], std_error = r[2]) }
write(rbind(k("none", "none"), k("Equal-Spacing", "linear"), k("Fleiss-Cohen", "quadratic")), "agreement_kappa.csv")

# repeatability: albumin at all visits of the first year
y <- seq_[seq_$day <= 365 & !is.na(seq_$albumin), ]; y <- y[y$id %in% names(which(table(y$id) > 1)), ]
fit <- aov(albumin ~ factor(id), y); df <- df.residual(fit); sw <- sqrt(sum(resid(fit)^2) / df)
cvs <- aggregate(albumin ~ id, y, function(v) c(length(v) - 1, var(v) / mean(v)^2))$albumin
cv <- sqrt(sum(cvs[, 1] * cvs[, 2]) / sum(cvs[, 1])); lim <- sqrt(df / qchisq(c(.975, .025), df)); rc <- z * sqrt(2)
write(data.frame(quantity = c("within_sd", "repeatability_coefficient", "smallest_real_change", "within_cv", "repeatability_percent"),
  estimate = c(sw, rc * sw, rc * sw * sqrt(df / qchisq(.05, df)), cv, 100 * rc * cv),
  conf_low = c(sw, rc * sw, NA, cv, 100 * rc * cv) * lim[1], conf_high = c(sw, rc * sw, NA, cv, 100 * rc * cv) * lim[2], df = df),
  "agreement_repeatability.csv")
