module sdk.example/swapgate

go 1.19
