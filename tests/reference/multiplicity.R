# Adjusted p-values: p.adjust, NA included. Rscript multiplicity.R writes multiplicity.csv beside itself.
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))
set.seed(7)
cases <- list(
  ordinary = round(c(runif(6), runif(5, 0, 0.02)), 6),
  ties = c(0.01, 0.01, 0.03, 0.03, 0.5, 1),
  missing = c(0.2, NA, 0.004, 0.03, NA, 0.03, 0),
  one = 0.04
)
methods <- c("bonferroni", "holm", "hochberg", "hommel", "BH", "BY", "none")
out <- do.call(rbind, lapply(names(cases), function(name) do.call(rbind, lapply(methods, function(m)
  data.frame(case = name, method = m, p = cases[[name]], adjusted = p.adjust(cases[[name]], m))))))
out$adjusted <- format(out$adjusted, digits = 17)
write.csv(out, file.path(here, "multiplicity.csv"), row.names = FALSE, quote = FALSE)
