// Package report shows what a simulation measured: a table for a terminal, and an HTML page with plots that is one file,
// loads nothing from elsewhere, and fits a phone as well as a desk, by day and by night.
//
// Plots are inline SVG made in Go; colours come from the page's style sheet, a system's by its place in the trial
// (classes s0 and s1). The page's script only shows what a pointer is on; without it nothing is missing.
package report
