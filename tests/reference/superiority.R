# Probability of superiority adjusted for covariates and strata, written out in base R.
# Rscript superiority.R writes superiority*.csv beside itself.
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))
set.seed(21)
n <- 60; base <- round(rnorm(n, 10, 2), 3); age <- round(rnorm(n, 50, 9), 1); arm <- rep(c("A", "P"), c(28, 32))
site <- sample(c("S1", "S2", "S3"), n, TRUE)
value <- round(0.8 * base + 1.2 * (arm == "A") + 0.02 * age + rnorm(n), 1)
data <- data.frame(subject = sprintf("s%02d", 1:n), arm, site, base, age, value)
write.csv(data, file.path(here, "superiority_data.csv"), row.names = FALSE, quote = FALSE)
adjust <- function(d, covariates) {
  total <- 0; theta <- 0; gap <- rep(0, length(covariates)); k <- length(covariates) + 1; V <- matrix(0, k, k)
  weights <- c(); parts <- list()
  for (s in unique(d$site_used)) {
    a <- d[d$site_used == s & d$arm == "A", ]; p <- d[d$site_used == s & d$arm == "P", ]
    m <- nrow(a); q <- nrow(p)
    win <- sapply(p$value, function(b) (a$value > b) + 0.5 * (a$value == b))  # m x q
    first <- cbind(rowMeans(win), as.matrix(a[covariates])); second <- cbind(colMeans(win), -as.matrix(p[covariates]))
    weights <- c(weights, m * q / (m + q))
    parts[[length(parts) + 1]] <- list(v = c(mean(win), colMeans(a[covariates]) - colMeans(p[covariates])),
      V = var(first) / m + var(second) / q)
  }
  w <- weights / sum(weights); v <- 0
  for (i in seq_along(w)) { v <- v + w[i] * parts[[i]]$v; V <- V + w[i]^2 * parts[[i]]$V }
  if (length(covariates)) {
    C <- V[1, -1, drop = FALSE] %*% solve(V[-1, -1]); theta <- v[1] - C %*% v[-1]; var <- V[1, 1] - C %*% V[-1, 1]
  } else { theta <- v[1]; var <- V[1, 1] }
  theta <- as.numeric(theta); half <- qnorm(0.975) * sqrt(as.numeric(var)) / (theta * (1 - theta))
  c(superiority = theta, superiority_low = plogis(qlogis(theta) - half), superiority_high = plogis(qlogis(theta) + half))
}
one <- transform(data, site_used = "all"); by <- transform(data, site_used = site)
out <- rbind(data.frame(case = "covariates", t(adjust(one, c("base", "age")))),
  data.frame(case = "strata", t(adjust(by, character()))), data.frame(case = "both", t(adjust(by, c("base", "age")))))
for (k in 2:4) out[[k]] <- format(out[[k]], digits = 17)
write.csv(out, file.path(here, "superiority.csv"), row.names = FALSE, quote = FALSE)
