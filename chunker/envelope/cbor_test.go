package envelope

import (
	"bytes"
	"errors"
	"testing"
)

func TestExtensionValues(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x81}, maxDepth+1), 0)
	for name, value := range map[string][]byte{
		"not the shortest integer":  {0x18, 23},
		"not the shortest length":   {0x58, 1, 0},
		"indefinite list":           {0x9f, 0xff},
		"reserved head":             {0x1c},
		"undefined":                 {0xf7},
		"half float":                {0xf9, 0x3c, 0},
		"not a number":              {cborFloat, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0},
		"infinity":                  {cborFloat, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0},
		"text that is not UTF-8":    {0x61, 0xff},
		"map keys out of order":     {0xa2, 0x61, 'b', 0, 0x61, 'a', 0},
		"map key twice":             {0xa2, 0x61, 'a', 0, 0x61, 'a', 0},
		"map key not text":          {0xa1, 0, 0},
		"another tag":               {0xc1, 0},
		"link without zero":         {0xd8, 42, 0x41, 1},
		"link to nothing":           {0xd8, 42, 0x42, 0, 1},
		"integer over 2^53":         {0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0},
		"length over what is there": {0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"list over what is there":   {0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"nested too deep":           deep,
	} {
		e := sample(t, nil)
		e.Extensions = []Extension{{"a", value}}
		if err := e.Sign(testKey); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
