/* What frames.c calls out to. */
long outside(long, double);
double rounded(double);
