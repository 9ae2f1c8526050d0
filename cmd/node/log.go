package node

import (
	"fmt"
	"io"
	"log/slog"
)

func (l Log) check() error {
	if l.Format != "" && l.Format != "text" && l.Format != "json" {
		return fmt.Errorf("log format %q: use text or json", l.Format)
	}
	var level slog.Level
	if l.Level == "" {
		return nil
	}
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return fmt.Errorf("log level %q: use debug, info, warn or error", l.Level)
	}
	return nil
}

// Logger makes the logger that l describes. The caller has checked l.
func (l Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if l.Level != "" {
		_ = level.UnmarshalText([]byte(l.Level)) // checked
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
