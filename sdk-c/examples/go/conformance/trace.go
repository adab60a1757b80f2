package main

import (
	"errors"
	"strconv"

	"sdk.example/swapgate"
)

// trace is the words of one phase.
type trace struct{ phase, words string }

func (t *trace) word(step, answer string) {
	if t.words != "" {
		t.words += " "
	}
	t.words += t.phase + "." + step + "=" + answer
}

func codeOf(err error) string {
	var code swapgate.Code
	if errors.As(err, &code) {
		return strconv.Itoa(int(code))
	}
	if err != nil {
		return err.Error()
	}
	return "0"
}

func (t *trace) code(step string, err error) { t.word(step, codeOf(err)) }

func (t *trace) value(step, value string, err error) {
	if err != nil {
		t.code(step, err)
		return
	}
	plain := []byte(value)
	if len(plain) > 64 {
		plain = plain[:64]
	}
	for i, b := range plain {
		if b <= ' ' || b >= 0x7f {
			plain[i] = '?'
		}
	}
	t.word(step, "0:"+string(plain))
}

func (t *trace) number(step string, number uint64, err error) {
	if err != nil {
		t.code(step, err)
		return
	}
	t.word(step, "0:"+strconv.FormatUint(number, 10))
}

// store appends the words to those of the phases before, and answers all of them.
func (t *trace) store(x *swapgate.Exchange) string {
	all, _ := x.Var(variable)
	if all != "" {
		all += " "
	}
	all += t.words
	_ = x.SetVar(variable, all)
	return all
}

func (t *trace) write() error { return swapgate.Log(swapgate.LogInfo, "trace "+t.words) }
