# Step-down max-T (Westfall & Young 1993, algorithm 4.1) by full enumeration, in base R loops.
# Writes max_t_data.csv (a small made-up data set) and max_t.csv (Welch t, p-values).
folder <- if (length(commandArgs(TRUE)) > 0) commandArgs(TRUE)[1] else "tests/reference"
set.seed(20240511)
n <- 12; k <- 7
arm <- c(rep("Active", 5), rep("Placebo", 7))
stratum <- rep(c("a", "b"), length.out = n)
x <- round(matrix(rexp(n * k), n, k), 3)
x[arm == "Active", 1] <- x[arm == "Active", 1] + 2
x[arm == "Active", 2] <- x[arm == "Active", 2] + 1.5
x[, 6] <- ifelse(x[, 6] > 1, x[, 6], 0)  # sparse column with ties
x[, 7] <- c(0.5, rep(0, n - 1))           # one subject only
colnames(x) <- paste0("v", 1:k)
write.csv(data.frame(subject = sprintf("s%02d", 1:n), arm = arm, stratum = stratum, x),
          file.path(folder, "max_t_data.csv"), row.names = FALSE)

welch <- function(values, is_arm) {
  a <- values[is_arm]; b <- values[!is_arm]
  (mean(a) - mean(b)) / sqrt(var(a) / length(a) + var(b) / length(b))
}
statistics <- function(is_arm) {
  out <- numeric(k)
  for (j in 1:k) out[j] <- welch(x[, j], is_arm)
  out
}
relabellings <- function(groups) {
  found <- list(rep(FALSE, n))
  for (g in unique(groups)) {
    rows <- which(groups == g)
    picks <- combn(rows, sum(arm[rows] == "Active"), simplify = FALSE)
    found <- unlist(lapply(found, function(f) lapply(picks, function(p) { f[p] <- TRUE; f })),
                    recursive = FALSE)
  }
  found
}
analyse <- function(name, groups, direction) {
  observed <- statistics(arm == "Active")
  side <- switch(direction, "two-sided" = abs, greater = identity, less = function(t) -t)
  score <- side(observed)
  order_down <- order(-score)
  labels <- relabellings(groups)
  raw <- numeric(k); step <- numeric(k); maxima <- numeric(length(labels)); sums <- 0
  tie <- 1e-9 * pmax(1, abs(score))
  for (b in seq_along(labels)) {
    t <- side(statistics(labels[[b]]))
    raw <- raw + (t >= score - tie)
    u <- -Inf
    for (i in k:1) {                       # successive maxima, least significant first
      j <- order_down[i]
      u <- max(u, t[j])
      step[j] <- step[j] + (u >= score[j] - tie[j])
    }
    maxima[b] <- max(t)
    sums <- sums + (sum(pmax(t, 0)^2) >= sum(pmax(score, 0)^2) - 1e-9)
  }
  adjusted <- step / length(labels)
  for (i in 2:k) adjusted[order_down[i]] <- max(adjusted[order_down[i]], adjusted[order_down[i - 1]])
  maxima <- sort(maxima)
  critical <- maxima[ceiling(0.95 * length(maxima))]
  data.frame(analysis = name, alternative = direction, variable = colnames(x), statistic = observed,
             p_value = raw / length(labels), p_adjusted = adjusted, n_relabellings = length(labels),
             p_sum = sums / length(labels), critical = critical)
}
out <- NULL
for (direction in c("two-sided", "greater", "less")) {
  out <- rbind(out, analyse("unstratified", rep("all", n), direction))
  out <- rbind(out, analyse("stratified", stratum, direction))
}
options(digits = 17)
write.csv(format(out, digits = 17, trim = TRUE), file.path(folder, "max_t.csv"), row.names = FALSE, quote = FALSE)
