# ComBat of R sva (Bioconductor) on made-up features of four sites: Rscript combat.R FOLDER
library(sva)
folder <- commandArgs(trailingOnly = TRUE)[1]
set.seed(20261121)
n <- 60
site <- rep(c("A", "B", "C", "D"), c(20, 17, 13, 10))
age <- round(rnorm(n, 55, 9), 1)
sex <- sample(c("F", "M"), n, TRUE)
shift <- c(A = 0, B = 1.5, C = -1, D = 0.4)[site]
scale <- c(A = 1, B = 2, C = 0.6, D = 1.3)[site]
x <- sapply(1:7, function(k) 3 * k + 0.05 * k * age + (sex == "M") + shift * k / 4 +
  scale * rnorm(n))
colnames(x) <- paste0("F", 1:7)
data <- data.frame(SITEID = site, AGE = age, SEX = sex, x)
plain <- t(ComBat(t(x), batch = site))
model <- model.matrix(~ age + sex)
kept <- t(ComBat(t(x), batch = site, mod = model))
means <- t(ComBat(t(x), batch = site, mod = model, mean.only = TRUE))
out <- cbind(data, plain = plain, kept = kept, means = means)
write.csv(format(out, digits = 15, trim = TRUE), file.path(folder, "combat.csv"),
  row.names = FALSE, quote = FALSE)
