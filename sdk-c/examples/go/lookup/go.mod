module lookup-go

go 1.19

require swapgate-go v0.0.0

replace swapgate-go => ../../../go
