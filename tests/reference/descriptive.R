# Moments, quartiles and t intervals of groups in base R. Writes descriptive*.csv beside itself.
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))
set.seed(3)
data <- data.frame(subject = sprintf("s%02d", 1:37), arm = rep(c("High", "Low", "Placebo"), c(12, 10, 15)),
  value = round(rlnorm(37, 1, 0.6), 5), stage = sample(c(0, 1, 2, 3, NA), 37, TRUE))
data$value[c(4, 20, 30)] <- NA
write.csv(data, file.path(here, "descriptive_data.csv"), row.names = FALSE, quote = FALSE)
describe <- function(arm, v) {
  s <- na.omit(v); q <- quantile(s, names = FALSE); ci <- t.test(s)$conf.int
  values <- c(n = length(s), missing = sum(is.na(v)), mean = mean(s), sd = sd(s), min = q[1], q1 = q[2], median = q[3],
    q3 = q[4], max = q[5], conf_low = ci[1], conf_high = ci[2])
  data.frame(arm = arm, statistic = names(values), value = unname(values))
}
out <- do.call(rbind, c(lapply(unique(data$arm), function(a) describe(a, data$value[data$arm == a])),
  list(describe("Total", data$value))))
out$value <- format(out$value, digits = 17)
write.csv(out, file.path(here, "descriptive.csv"), row.names = FALSE, quote = FALSE)
counts <- as.data.frame(table(arm = data$arm, level = data$stage))
write.csv(counts, file.path(here, "descriptive_counts.csv"), row.names = FALSE, quote = FALSE)
