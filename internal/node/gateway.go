package node

import (
	"context"
	"net"
	"strconv"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/gateway"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// gatewayConfig says how apid serves: to everybody whose certificate is
// accepted; or, while there is no configuration that could accept any, to
// everybody with the rights of a reader.
func gatewayConfig(reader *configured.Reader) reconcile.Controller {
	return derive.One("runtime.APIServiceConfigController", runtime.APIServiceConfigID,
		[]reconcile.Input{configured.Input()},
		func(ctx context.Context, rt *reconcile.Runtime, _ runtime.APIServiceConfig) (runtime.APIServiceConfig, error) {
			cfg, err := reader.Read(ctx, rt)
			maintenance := cfg == nil

			return runtime.APIServiceConfig{
				ListenAddress:           net.JoinHostPort("", strconv.Itoa(gateway.DefaultPort)),
				NodeRoutingDisabled:     maintenance,
				ReadonlyRoleMode:        maintenance,
				SkipVerifyingClientCert: maintenance,
			}, err
		})
}
