# Reference numbers for tests/endpoints/test_win_ratio.py: Rscript win_ratio.R [data folder]
# Explicit loops over pairs; covariance from the Hoeffding projections, element by element.
args <- commandArgs(trailingOnly = TRUE)
data <- if (length(args)) args[1] else Sys.getenv("LIVERTRACK_DATA")
out <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
pbc <- read.csv(file.path(data, "tab_r_survival_liver", "pbc.csv")); pbc <- pbc[!is.na(pbc$trt), ]
one <- function(a, b) {                       # death, then transplant, then albumin by more than 0.2
  for (k in 1:2) { status <- c(2, 1)[k]; ea <- a$status == status; eb <- b$status == status
    if (eb && (a$time > b$time || (!ea && a$time == b$time))) return(1)
    if (ea && (b$time > a$time || (!eb && a$time == b$time))) return(-1) }
  d <- a$albumin - b$albumin; if (d > 0.2) 1 else if (d < -0.2) -1 else 0 }
pairs <- function(A, B) { S <- matrix(0, nrow(A), nrow(B)); LA <- split(A, seq_len(nrow(A))); LB <- split(B, seq_len(nrow(B)))
  for (i in seq_along(LA)) for (j in seq_along(LB)) S[i, j] <- one(LA[[i]], LB[[j]]); S }
parts <- function(S) { n1 <- nrow(S); n0 <- ncol(S); w <- mean(S == 1); l <- mean(S == -1); V <- matrix(0, 2, 2)
  for (i in 1:n1) { d <- c(mean(S[i, ] == 1) - w, mean(S[i, ] == -1) - l); V <- V + d %*% t(d) / (n1 - 1) / n1 }
  for (j in 1:n0) { d <- c(mean(S[, j] == 1) - w, mean(S[, j] == -1) - l); V <- V + d %*% t(d) / (n0 - 1) / n0 }
  list(t = c(w, l), V = V, weight = n1 * n0 / (n1 + n0)) }
summaries <- function(ps, name) { w <- sapply(ps, `[[`, "weight"); w <- w / sum(w); t <- 0; V <- 0
  for (k in seq_along(ps)) { t <- t + w[k] * ps[[k]]$t; V <- V + w[k]^2 * ps[[k]]$V }
  z <- qnorm(.975); g <- c(1 / t[1], -1 / t[2]); s <- sqrt(sum(g * (V %*% g))); lr <- log(t[1] / t[2])
  nb <- t[1] - t[2]; sn <- sqrt(V[1, 1] + V[2, 2] - 2 * V[1, 2]); wo <- (t[1] + (1 - sum(t)) / 2) / (t[2] + (1 - sum(t)) / 2)
  so <- sn * (1 / (1 + nb) + 1 / (1 - nb))
  data.frame(name = name, measure = c("win_ratio", "win_odds", "net_benefit"), estimate = c(exp(lr), wo, nb), std_error = c(s, so, sn),
    conf_low = c(exp(lr - z * s), wo * exp(-z * so), tanh(atanh(nb) - z * so / 2)), conf_high = c(exp(lr + z * s), wo * exp(z * so), tanh(atanh(nb) + z * so / 2)),
    p_value = 2 * pnorm(-abs(c(lr / s, log(wo) / so, log(wo) / so)))) }
A <- pbc[pbc$trt == 1, ]; B <- pbc[pbc$trt == 2, ]
all <- parts(pairs(A, B))
by <- lapply(sort(unique(pbc$edema)), function(e) parts(pairs(A[A$edema == e, ], B[B$edema == e, ])))
write.csv(format(rbind(summaries(list(all), "all"), summaries(by, "edema")), digits = 16, trim = TRUE), file.path(out, "win_ratio.csv"), row.names = FALSE, quote = FALSE)
