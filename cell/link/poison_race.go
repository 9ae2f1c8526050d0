//go:build race

package link

func poison(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}
