# Reference numbers for tests/endpoints/test_tristan.py: test and retest of the liver signal of 54 rats.
# Usage: Rscript tristan.R [data folder]; writes tristan*.csv into the folder of this script.
suppressMessages({library(psych); library(lme4)})
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)
zip <- file.path(data, "tab_tristan_dce_signals", "tristan_rats_healthy_reproducibility.dmr.zip")
raw <- read.csv(unz(zip, "rois.csv"), header = FALSE, colClasses = "character")
liver <- which(unlist(raw[3, ]) == "liver")
# relative enhancement: largest signal over the mean of the first five, less 1
re <- sapply(liver, function(j) { s <- as.numeric(raw[-(1:3), j]); s <- s[!is.na(s)]; max(s) / mean(s[1:5]) - 1 })
d <- data.frame(id = unlist(raw[1, liver]), day = unlist(raw[2, liver]), value = re)
w <- reshape(d, idvar = "id", timevar = "day", direction = "wide"); names(w) <- c("id", "one", "two")
both <- w[complete.cases(w), ]
r <- ICC(as.matrix(both[, -1]), lmer = FALSE)$results
write(data.frame(form = r$type, estimate = r$ICC, conf_low = r$`lower bound`, conf_high = r$`upper bound`, statistic = r$F), "tristan_icc.csv")
# one in four without the second day
gaps <- d[!(d$day == "Day_2" & match(d$id, unique(d$id)) %% 4 == 0), ]
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 1e-2, rhoend = 1e-12, maxfun = 1e5), calc.derivs = FALSE)
v <- function(m) { x <- as.data.frame(VarCorr(m)); setNames(x$vcov, x$grp) }
one <- v(lmer(value ~ 1 + (1 | id), gaps, control = tight)); mix <- v(lmer(value ~ day + (1 | id), gaps, control = tight))
write(data.frame(form = c("ICC1", "ICC3"), estimate = c(one[["id"]] / sum(one), mix[["id"]] / sum(mix))), "tristan_reml.csv")
fit <- aov(value ~ id, d[d$id %in% both$id, ]); df <- df.residual(fit); sw <- sqrt(sum(resid(fit)^2) / df)
cv <- sqrt(mean(apply(both[, -1], 1, function(x) var(x) / mean(x)^2))); z <- qnorm(.975) * sqrt(2); lim <- sqrt(df / qchisq(c(.975, .025), df))
write(data.frame(quantity = c("within_sd", "repeatability_coefficient", "smallest_real_change", "within_cv"),
  estimate = c(sw, z * sw, z * sw * sqrt(df / qchisq(.05, df)), cv), conf_low = c(sw, z * sw, NA, cv) * lim[1],
  conf_high = c(sw, z * sw, NA, cv) * lim[2]), "tristan_repeatability.csv")
g <- both$two - both$one; t <- t.test(g)
write(data.frame(n = length(g), bias = mean(g), sd = sd(g), conf_low = t$conf.int[1], conf_high = t$conf.int[2], p_value = t$p.value), "tristan_bias.csv")
