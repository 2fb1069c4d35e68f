# Reference numbers for tests/endpoints/test_ordinal.py: Rscript ordinal.R [data folder]
suppressMessages({library(ordinal); library(coin)})
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write <- function(x, name) write.csv(format(x, digits = 16, trim = TRUE), file.path(out, name), row.names = FALSE, quote = FALSE)
pbc <- read.csv(file.path(data, "tab_r_survival_liver", "pbc.csv")); pbc <- pbc[!is.na(pbc$trt), ]
pbc$st <- factor(pbc$stage, ordered = TRUE); pbc$sexf <- factor(pbc$sex, c("f", "m"))
m <- clm(st ~ trt + age + sexf + log(bili), data = pbc, control = clm.control(gradTol = 1e-12)); co <- summary(m)$coefficients
write(data.frame(term = rownames(co), estimate = co[, 1], std_error = co[, 2], p_value = co[, 4], loglik = m$logLik,
  null = clm(st ~ 1, data = pbc)$logLik), "ordinal_clm.csv")
# Brant: separate logits, covariance of their slopes
D <- model.matrix(~ trt + age + sexf + log(bili), pbc); y <- pbc$stage; K <- 3; k <- ncol(D) - 1
fits <- lapply(1:K, function(j) glm.fit(D, as.numeric(y > j), family = binomial(), control = glm.control(epsilon = 1e-14)))
P <- sapply(fits, `[[`, "fitted.values"); inv <- lapply(1:K, function(j) solve(t(D) %*% (D * P[, j] * (1 - P[, j]))))
V <- matrix(0, K * k, K * k)
for (i in 1:K) for (j in 1:K) { w <- P[, max(i, j)] * (1 - P[, min(i, j)]); b <- inv[[i]] %*% t(D) %*% (D * w) %*% inv[[j]]
  V[(i - 1) * k + 1:k, (j - 1) * k + 1:k] <- b[-1, -1] }
s <- unlist(lapply(fits, function(f) f$coefficients[-1]))
test <- function(cols) { C <- do.call(rbind, lapply(2:K, function(j) t(sapply(cols, function(c) { r <- rep(0, K * k); r[c] <- -1; r[(j - 1) * k + c] <- 1; r }))))
  d <- C %*% s; x <- t(d) %*% solve(C %*% V %*% t(C), d); c(x, nrow(C), pchisq(x, nrow(C), lower.tail = FALSE)) }
b <- t(sapply(list(1, 2, 3, 4, 1:4), test)); write(data.frame(statistic = b[, 1], df = b[, 2], p_value = b[, 3]), "ordinal_brant.csv")
# shifts of stage from the first to the second visit
q <- read.csv(file.path(data, "tab_r_survival_liver", "pbcseq.csv")); q$visit <- ave(q$day, q$id, FUN = rank)
w <- merge(q[q$visit == 1, c("id", "trt", "stage")], q[q$visit == 4, c("id", "stage")], by = "id")
rows <- do.call(rbind, lapply(sort(unique(w$trt)), function(a) { g <- w[w$trt == a, ]
  t <- table(factor(g$stage.x, 1:4), factor(g$stage.y, 1:4)); m <- mh_test(as.table(t)); bk <- mcnemar.test(t, correct = FALSE)
  # a pair of levels that nobody moved between makes mcnemar.test NaN; such pairs carry no information
  u <- t[upper.tri(t)]; l <- t(t)[upper.tri(t)]; s <- u + l > 0; x <- sum((u - l)[s]^2 / (u + l)[s])
  stopifnot(is.nan(bk$statistic) || abs(bk$statistic - x) < 1e-12)
  data.frame(arm = a, test = c("Stuart-Maxwell", "Bowker"), statistic = c(statistic(m), x), df = c(3, sum(s)), p_value = c(pvalue(m), pchisq(x, sum(s), lower.tail = FALSE))) }))
write(rows, "ordinal_shift.csv")
