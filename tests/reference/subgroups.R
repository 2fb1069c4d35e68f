# Reference numbers for tests/endpoints/test_subgroups.py: Rscript subgroups.R [data folder]
suppressMessages(library(survival))
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)
pbc <- read.csv(file.path(data, "tab_r_survival_liver", "pbc.csv")); pbc <- pbc[!is.na(pbc$trt), ]
# g-computation of hepatomegaly on age, sex and log bilirubin
pbc$a <- as.numeric(pbc$trt == 1); m <- glm(hepato ~ a + age + sex + log(bili), binomial(), pbc, control = glm.control(epsilon = 1e-14))
p1 <- predict(m, transform(pbc, a = 1), "response"); p0 <- predict(m, transform(pbc, a = 0), "response"); n <- nrow(pbc)
i1 <- pbc$a / mean(pbc$a) * (pbc$hepato - p1) + p1 - mean(p1); i0 <- (1 - pbc$a) / mean(1 - pbc$a) * (pbc$hepato - p0) + p0 - mean(p0)
write(data.frame(measure = c("risk difference", "risk ratio"), estimate = c(mean(p1) - mean(p0), mean(p1) / mean(p0)),
  std_error = c(sqrt(sum((i1 - i0)^2)) / n, sqrt(sum((i1 / mean(p1) - i0 / mean(p0))^2)) / n)), "subgroups_g.csv")
# forest: albumin and death by arm within stage and sex
pbc$event <- pbc$status == 2; pbc$st <- factor(pbc$stage); z <- function(f) { co <- summary(f)$coefficients["a", ]; co }
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14)
means <- do.call(rbind, lapply(list(c("Overall", ""), c("sex", "f"), c("sex", "m"), c("stage", 2), c("stage", 3), c("stage", 4)), function(g) {
  d <- if (g[1] == "Overall") pbc else pbc[pbc[[g[1]]] == g[2], ]; f <- lm(albumin ~ a, d); h <- coxph(Surv(time, event) ~ a, d, control = tight); s <- summary(h)$coefficients
  data.frame(subgroup = g[1], level = g[2], mean = coef(f)[2], mean_low = confint(f)[2, 1], mean_high = confint(f)[2, 2], mean_p = summary(f)$coefficients[2, 4],
    hr = exp(coef(h)), hr_low = exp(confint(h))[1], hr_high = exp(confint(h))[2], hr_p = s[5]) }))
write(means, "subgroups_forest.csv")
pbc$late <- ifelse(pbc$stage > 2, "late", "early"); int <- function(g) { a <- anova(lm(albumin ~ a + factor(pbc[[g]]), pbc), lm(albumin ~ a * factor(pbc[[g]]), pbc))
  c1 <- coxph(Surv(time, event) ~ a + factor(pbc[[g]]), pbc, control = tight); c2 <- coxph(Surv(time, event) ~ a * factor(pbc[[g]]), pbc, control = tight); l <- 2 * (c2$loglik[2] - c1$loglik[2])
  data.frame(subgroup = g, f = a$F[2], f_p = a$`Pr(>F)`[2], lr = l, lr_p = pchisq(l, 1, lower.tail = FALSE)) }
write(rbind(int("sex"), int("late")), "subgroups_interaction.csv")
