import { checkAccepts, checkReceivers, reportNoReceiver } from './check-accepts.ts'
import { checkAccess, NO_ACCESS_RULES } from './check-access.ts'
import { type CheckContext, createCheckContext, type KnownThings } from './check-context.ts'
import { checkFacilitatorLimits } from './check-facilitator-limits.ts'
import { reportOverruled } from './check-header-rules.ts'
import { checkLimits, checkRateLimits } from './check-limits.ts'
import { addLocalRpc, localEntries } from './check-local.ts'
import { noteShadow } from './check-mode.ts'
import { checkNetworks } from './check-networks.ts'
import { checkRoutes } from './check-routes.ts'
import { checkAdmin, checkServer, checkStore, supportCacheFile } from './check-server.ts'
import { checkShapingDefaults } from './check-shaping.ts'
import { checkFacilitators, checkUpstreams } from './check-upstreams.ts'
import type { GatewayConfig, RouteConfig } from './gateway-config.ts'
import type { PathFinding } from './place-findings.ts'
import type { Settings } from './schema.ts'
import type { Tree } from './tree.ts'

export interface CheckedSettings<Config> {
  /** Only to be used when there are no findings. */
  readonly config: Config
  readonly findings: readonly PathFinding[]
  /** What stops nothing. */
  readonly notes: readonly PathFinding[]
}

/**
 * Turns what the file says into what the gateway runs on, and finds what makes no sense: unknown
 * names, prices that no token can carry, addresses with a slip in them.
 *
 * @param trees.document As it was written; `trees.pruned` is what `settings` was made from.
 */
export function checkSettings(
  settings: Settings,
  trees: { readonly document: Tree; readonly pruned: Tree },
  known: KnownThings,
): CheckedSettings<GatewayConfig> {
  const { context: bare, findings, notes } = createCheckContext(known, trees.document, trees.pruned)
  const networks = addLocalRpc(checkNetworks(settings, bare), localEntries(settings), bare)
  const context: CheckContext = { ...bare, networks }
  const payTo = checkReceivers(settings, context)
  const accepted =
    settings.accepts === undefined && !context.isWritten(['accepts'])
      ? null
      : checkAccepts(settings.accepts ?? [], ['accepts'], { payTo, context })
  const { paymentIdentifier } = settings
  const shaping = checkShapingDefaults(settings, context)
  const access = checkAccess(settings, NO_ACCESS_RULES, { path: [], route: null, context })
  const store = checkStore(settings, context)
  const rateLimits = checkRateLimits(settings.rateLimit, ['rateLimit'], { route: null, context })
  const config: GatewayConfig = {
    server: checkServer(settings, context),
    admin: checkAdmin(settings.admin, settings.server.listen, context),
    store,
    networks: networks.networks,
    facilitators: checkFacilitators(settings, context),
    supportCacheFile: supportCacheFile(store, known.directory),
    upstreams: checkUpstreams(settings, context),
    cors: shaping.cors,
    routes: checkRoutes(
      settings,
      { accepted, payTo, shaping, access, paymentIdentifier, rateLimits },
      context,
    ),
    limits: checkLimits(settings.limits),
  }
  checkCompleteness(config, context)
  reportOverruled(config, context)
  noteShadow(config.routes, context)
  checkFacilitatorLimits(config, context)
  return { config, findings, notes }
}

function checkCompleteness(config: GatewayConfig, context: CheckContext): void {
  if (context.isWritten(['upstreams']) && context.namesAt(['upstreams']).length === 0) {
    const cure = 'Name your API, like api: http://localhost:3000.'
    context.report(['upstreams'], { message: 'has no entry: there is nothing to forward to', cure })
  }
  const isPaid = config.routes.some(isPriced)
  if (isPaid && !context.isWritten(['accepts']) && !context.isWritten(['payTo']))
    reportNoReceiver(context)
  if (isPaid && !context.isWritten(['facilitators'])) {
    const cure = 'Write facilitators: [x402-org] for a test network, or another preset or URL.'
    context.report(['facilitators'], { message: 'there is a price, and no facilitators', cure })
  }
}

function isPriced(route: RouteConfig): boolean {
  return route.price.kind === 'paid'
}
