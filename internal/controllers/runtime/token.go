package runtime

import (
	"context"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// metaMachineToken is the key of META with the machine's token.
const metaMachineToken = "0x10"

// MachineToken tells the token by which a fleet manager knows the machine again:
// that of the configuration, or else that of META. Without one it is empty.
func MachineToken(reader *configured.Reader) reconcile.Controller {
	return derive.One("runtime.UniqueMachineTokenController", runtime.UniqueMachineTokenID,
		[]reconcile.Input{configured.Input(), derive.In[runtime.MetaKey](metaMachineToken)},
		func(ctx context.Context, rt *reconcile.Runtime, _ runtime.UniqueMachineToken) (runtime.UniqueMachineToken, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return runtime.UniqueMachineToken{}, err
			}

			if cfg != nil {
				if doc := machineconfig.Find[document.SideroLinkConfig](cfg); doc != nil && doc.UniqueToken != "" {
					return runtime.UniqueMachineToken{Token: doc.UniqueToken}, nil
				}
			}

			meta, err := derive.Find[runtime.MetaKey](ctx, rt, metaMachineToken)
			if err != nil || meta == nil {
				return runtime.UniqueMachineToken{}, err
			}

			return runtime.UniqueMachineToken{Token: meta.Spec.Value}, nil
		})
}
