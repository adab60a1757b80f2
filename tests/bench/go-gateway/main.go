// A small gateway as teams write it in Go: net/http/httputil with a tuned transport, and its behaviour in a file built
// with -buildmode=plugin that is loaded at the start. One core: GOMAXPROCS is 1.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"log"
	"math/rand"
	"net"
	"net/http"
	"net/http/httputil"
	"plugin"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// What a plugin file gives; the types are those of the standard library, so that no package has to be shared.
type jobs struct {
	access func(http.ResponseWriter, *http.Request) bool
	answer func(*http.Response) error
}

func main() {
	listen := flag.String("listen", "", "address for clients")
	upstream := flag.String("upstream", "", "address of the upstream")
	file := flag.String("plugin", "", "the plugin file")
	limit := flag.Float64("limit", 0, "requests a window and consumer")
	window := flag.Float64("window", 1, "the window in seconds")
	flag.Parse()

	runtime.GOMAXPROCS(1)
	// Four times the usual room before the collector runs: CPU for memory, as one tunes a proxy.
	debug.SetGCPercent(400)
	loaded, err := load(*file, *limit, *window)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(*listen)
	server := http.Server{Handler: handler(*upstream, port, loaded)}
	log.Fatal(server.Serve(listener))
}

func load(file string, limit, window float64) (jobs, error) {
	library, err := plugin.Open(file)
	if err != nil {
		return jobs{}, err
	}
	configure, err := library.Lookup("Configure")
	if err != nil {
		return jobs{}, err
	}
	access, err := library.Lookup("Access")
	if err != nil {
		return jobs{}, err
	}
	answer, err := library.Lookup("Answer")
	if err != nil {
		return jobs{}, err
	}
	configure.(func(float64, float64))(limit, window)
	return jobs{
		access: access.(func(http.ResponseWriter, *http.Request) bool),
		answer: answer.(func(*http.Response) error),
	}, nil
}

func handler(upstream, port string, loaded jobs) http.Handler {
	proxy := &httputil.ReverseProxy{
		// X-Forwarded-For is added by the proxy itself.
		Director: func(request *http.Request) {
			host, _, _ := net.SplitHostPort(request.RemoteAddr)
			request.Header.Set("X-Forwarded-Host", request.Host)
			request.Header.Set("X-Forwarded-Port", port)
			request.Header.Set("X-Forwarded-Proto", "http")
			request.Header.Set("X-Real-Ip", host)
			request.Header.Set("X-Request-Id", requestID())
			request.URL.Scheme = "http"
			request.URL.Host = upstream
			request.Host = upstream
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConns:        0,
			MaxIdleConnsPerHost: 4096,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
			ReadBufferSize:      16 << 10,
			WriteBufferSize:     16 << 10,
		},
		BufferPool:     &buffers{},
		ModifyResponse: loaded.answer,
	}
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if loaded.access(writer, request) {
			proxy.ServeHTTP(writer, request)
		}
	})
}

func requestID() string {
	var bytes [16]byte
	binary.LittleEndian.PutUint64(bytes[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(bytes[8:], rand.Uint64())
	return hex.EncodeToString(bytes[:])
}

// Buffers for bodies, used again.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, 64<<10)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
