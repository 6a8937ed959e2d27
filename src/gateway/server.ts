import type { GatewayConfig } from '../config/gateway-config.ts'
import type { Force } from '../flow/force.ts'
import { handleRequest } from '../flow/handle-request.ts'
import type { House } from '../flow/house.ts'
import { createHostList } from '../http/allowed-hosts.ts'
import { createClientAddressReader } from '../http/client-address.ts'
import type { ExchangeSettings } from '../http/heard-request.ts'
import { type HttpServer, startHttpServer } from '../http/server.ts'

/** The listener that callers talk to. Each request is read as the configuration in force says. */
export function startServer(force: Force, house: House): Promise<HttpServer> {
  const { listen, limits, tls, http2 } = force.current.config.server
  let settings = toSettings(force.current.config)
  return startHttpServer({
    listen,
    limits,
    tls,
    http2,
    settings() {
      const { config } = force.current
      if (settings.config !== config) settings = toSettings(config)
      return settings
    },
    handle: exchange => handleRequest(exchange, house),
  })
}

function toSettings(config: GatewayConfig): ExchangeSettings & { readonly config: GatewayConfig } {
  const { publicUrl, hosts, trustedProxies, limits } = config.server
  const clientAddress = createClientAddressReader(trustedProxies)
  const allowsHost = createHostList(hosts)
  const { bodyBytes: bodyBytesMax, replyBytesPerSecondMin } = limits
  const said = { publicUrl, bodyBytesMax, replyBytesPerSecondMin }
  return { config, ...said, allowsHost, clientAddress }
}
