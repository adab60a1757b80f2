module swapgate-go

go 1.19
