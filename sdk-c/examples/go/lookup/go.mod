module lookup-go

go 1.19

require sdk.example/swapgate v0.0.0

replace sdk.example/swapgate => ../../../go
