#include "swapgate.h"
int main(void) { return 0; }
