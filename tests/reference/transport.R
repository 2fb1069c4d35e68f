# What R haven reads in a transport file written by livertrack.cdisc.write_transport:
#   Rscript transport.R adlb.xpt transport.csv
# adlb.xpt is written from `labs()` of tests/cdisc/test_export.py with created = 1960-01-01.
library(haven)
arguments <- commandArgs(trailingOnly = TRUE)
seen <- as.data.frame(read_xpt(arguments[1]))
seen$ADT <- as.numeric(seen$ADT) + 3653 # haven counts days from 1970, SAS from 1960
for (column in names(seen)) {
  if (is.numeric(seen[[column]])) {
    seen[[column]] <- ifelse(is.na(seen[[column]]), "NA", sprintf("%.17g", seen[[column]]))
  }
}
write.csv(seen, arguments[2], row.names = FALSE, quote = TRUE)
