import type { GatewayConfig } from '../config/gateway-config.ts'

/** How long a settle may take: one after the other may turn it away late, the last one takes it. */
export function settleMsMax({ facilitators }: Pick<GatewayConfig, 'facilitators'>): number {
  return facilitators.reduce((sum, { settleTimeoutMs }) => sum + settleTimeoutMs, 0)
}
