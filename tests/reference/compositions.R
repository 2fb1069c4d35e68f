# Reference numbers for tests/endpoints/test_compositions.py: Rscript compositions.R
suppressMessages(library(vegan))
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)
set.seed(20)
n <- 36; K <- 5
X <- matrix(rgamma(n * K, rep(c(8, 4, 2, 1.5, 1), each = n)), n); X <- X / rowSums(X)
arm <- rep(c("A", "B", "C"), length.out = n); site <- rep(c("x", "y", "z"), each = 12); age <- round(rnorm(n, 55, 9), 1)
X[arm == "B", 2] <- X[arm == "B", 2] * 1.8; X <- X / rowSums(X); X <- round(X, 4); X[, 1] <- 1 - rowSums(X[, -1])
colnames(X) <- paste0("TV0", 1:K)
write(data.frame(X, TRT01P = arm, SITEID = site, AGE = age), "compositions_data.csv")

clr <- as.matrix(decostand(X, "clr"))
write(as.data.frame(clr), "compositions_clr.csv")
D <- vegdist(X, "aitchison")
write(as.data.frame(as.matrix(D)), "compositions_distance.csv")

# permutations within site, the same for all tests
P <- t(replicate(199, { i <- seq_len(n); for (s in unique(site)) i[site == s] <- sample(which(site == s)); i }))
write(as.data.frame(P - 1), "compositions_permutations.csv")
ad <- function(f, d, name) { assign("D", d); environment(f) <- environment(); r <- adonis2(f, permutations = P, by = "terms")
  data.frame(test = name, term = rownames(r), df = r$Df, sum_of_squares = r$SumOfSqs, r_squared = r$R2, statistic = r$F, p_value = r$`Pr(>F)`) }
write(rbind(ad(D ~ arm, D, "arm"), ad(D ~ age + site + arm, D, "covariates"), ad(D ~ arm, vegdist(X, "bray"), "bray")), "compositions_adonis.csv")
b <- betadisper(D, arm, type = "centroid")
write(data.frame(arm = names(b$group.distances), mean_distance = as.numeric(b$group.distances), statistic = anova(b)$F[1]), "compositions_dispersion.csv")

# regression: clr coordinates one by one, and jointly in any orthonormal basis
arm <- factor(arm); m <- lm(clr ~ arm + age); s <- summary(m)
rows <- do.call(rbind, lapply(1:K, function(j) { co <- s[[j]]$coefficients; ci <- confint(lm(clr[, j] ~ arm + age))
  data.frame(part = colnames(X)[j], arm = c("B", "C"), estimate = co[2:3, 1], std_error = co[2:3, 2], p_value = co[2:3, 4], conf_low = ci[2:3, 1], conf_high = ci[2:3, 2]) }))
write(rows, "compositions_lm.csv")
V <- contr.helmert(K); V <- sweep(V, 2, sqrt(colSums(V^2)), "/"); Y <- clr %*% V
joint <- do.call(rbind, lapply(c("B", "C"), function(a) { z <- as.numeric(arm == a); other <- as.numeric(arm != a & arm != "A")
  r <- anova(lm(Y ~ other + age + z), lm(Y ~ other + age), test = "Pillai"); data.frame(arm = a, statistic = r$Pillai[2], f_statistic = r$`approx F`[2], df1 = r$`num Df`[2], df2 = r$`den Df`[2], p_value = r$`Pr(>F)`[2]) }))
write(joint, "compositions_joint.csv")
g <- exp(colMeans(log(X))); nd <- data.frame(arm = factor(c("A", "B", "C")), age = mean(age)); e <- exp(predict(m, nd)); e <- e / rowSums(e)
write(data.frame(arm = c("A", "B", "C"), e), "compositions_means.csv")
