import type { NetworkId } from '../core/payment.ts'
import type { CheckContext } from './check-context.ts'
import { checkAuth, checkPresetAuth, checkPresetHeaders } from './check-facilitator-auth.ts'
import { checkHeaders } from './check-headers.ts'
import { checkHealth } from './check-health.ts'
import { checkLocalFacilitator } from './check-local.ts'
import { checkTargets } from './check-targets.ts'
import { checkUpstreamHost } from './check-upstream-host.ts'
import { checkUpstreamTls } from './check-upstream-tls.ts'
import { baseOf, readHttpUrl } from './check-url.ts'
import type { FacilitatorPreset } from './facilitator-presets.ts'
import type {
  FacilitatorAuth,
  FacilitatorQuirks,
  GatewayConfig,
  UpstreamConfig,
} from './gateway-config.ts'
import type { Path } from './problems.ts'
import type { Settings } from './schema.ts'
import type { FacilitatorSetting } from './schema-upstreams.ts'
import { suggestName } from './suggest.ts'
import { uniqueName } from './unique-name.ts'

export function checkUpstreams(settings: Settings, context: CheckContext): UpstreamConfig[] {
  return Object.entries(settings.upstreams).map(([name, setting]) => {
    const path = ['upstreams', name]
    const targets = checkTargets(setting.url, [...path, 'url'], context)
    return {
      name,
      targets,
      tls: checkUpstreamTls(setting, targets, { path: [...path, 'tls'], context }),
      headers: checkHeaders(setting.headers, [...path, 'headers'], context),
      host: checkUpstreamHost(setting, [...path, 'host'], context),
      http2: setting.http2,
      connectTimeoutMs: setting.connectTimeout,
      bodyTimeoutMs: setting.bodyTimeout,
      maxConnections: setting.maxConnections,
      maxQueue: setting.maxQueue,
      health: checkHealth(setting.health, [...path, 'health'], context),
    }
  })
}

type AnyFacilitator = GatewayConfig['facilitators'][number]

export function checkFacilitators(settings: Settings, context: CheckContext): AnyFacilitator[] {
  const checked: AnyFacilitator[] = []
  for (const [index, setting] of (settings.facilitators ?? []).entries()) {
    const path = ['facilitators', index]
    if ('local' in setting) {
      const { workers } = settings.server
      const asked = { local: setting.local, workers }
      const local = checkLocalFacilitator(asked, [...path, 'local'], context)
      checked.push({ ...local, name: uniqueName(local.name, checked) })
      continue
    }
    const place = findFacilitator(setting, path, context)
    if (place === null) continue
    const first = checked.findIndex(one => one.kind === 'http' && one.url === place.url)
    if (first !== -1) {
      const message = `is the same as facilitators[${first}]`
      context.report(path, { message, cure: 'Keep one of the two.' })
    }
    const { preset } = place
    const headers = checkHeaders(setting.headers, [...path, 'headers'], context)
    checked.push({
      kind: 'http',
      name: uniqueName(place.name, checked),
      preset: preset && place.name,
      url: place.url,
      auth: checkCredentials(setting, preset, { path, context }),
      quirks: readQuirks(setting, place.service, { path, context }),
      headers: preset ? checkPresetHeaders(preset, headers, { path, context }) : headers,
      timeoutMs: setting.timeout,
      settleTimeoutMs: setting.settleTimeout,
      concurrency: setting.concurrency,
    })
  }
  return checked
}

interface Place {
  readonly path: Path
  readonly context: CheckContext
}

function checkCredentials(
  { auth }: FacilitatorSetting,
  preset: FacilitatorPreset | null,
  { path, context }: Place,
): FacilitatorAuth {
  if (auth !== undefined) return checkAuth(auth, [...path, 'auth'], context)
  return preset === null ? { kind: 'none' } : checkPresetAuth(preset, path, context)
}

function readQuirks(
  setting: FacilitatorSetting,
  service: FacilitatorPreset | null,
  { path, context }: Place,
): FacilitatorQuirks {
  // A preset's networks are held against the list of networks by a test.
  const assumed = service?.hasSupported === false ? (service.networks ?? []) : null
  const named = setting.supported?.map((name, index) => ({
    name,
    at: [...path, 'supported', index],
  }))
  const supported = named ?? assumed?.map(name => ({ name, at: path })) ?? null
  return {
    supported: supported?.flatMap(({ name, at }) => findNetworkId(name, at, context) ?? []) ?? null,
    otherUrls: service?.otherUrls ?? [],
  }
}

function findNetworkId(name: string, path: Path, context: CheckContext): NetworkId | null {
  const network = context.networks.find(name)
  if (network !== null) return network.id
  const names = context.networks.networks.map(one => one.name)
  const message = `${context.quote(path)} is not a network that farebox knows`
  context.report(path, { message, cure: suggestName(name, names) })
  return null
}

interface FoundFacilitator {
  readonly name: string
  readonly url: string
  /** Null where a URL is written: its keys, limits and networks are the operator's to know. */
  readonly preset: FacilitatorPreset | null
  /** What is known of the service there, however it was named; null of others. */
  readonly service: FacilitatorPreset | null
}

function findFacilitator(
  setting: FacilitatorSetting,
  path: Path,
  context: CheckContext,
): FoundFacilitator | null {
  const urlPath = [...path, 'url']
  const found = lookUpFacilitator(setting, context)
  if (found === null) reportUnknown(setting, urlPath, context)
  return found
}

function lookUpFacilitator(
  setting: FacilitatorSetting,
  { presets }: CheckContext,
): FoundFacilitator | null {
  const preset = presets.get(setting.url)
  if (preset !== undefined) {
    return { name: setting.url, url: preset.url, preset, service: preset }
  }
  const read = readHttpUrl(setting.url)
  if (read.kind === 'refused') return null
  const url = baseOf(read.url)
  const service = [...presets.values()].find(one => one.url === url) ?? null
  return { name: read.url.host, url, preset: null, service }
}

function reportUnknown(setting: FacilitatorSetting, urlPath: Path, context: CheckContext): void {
  const read = readHttpUrl(setting.url)
  if (read.kind === 'url') return
  // Only what looks like a name is repeated: a URL may have a key in its path.
  if (!/^[\w.-]{1,40}$/.test(setting.url)) {
    context.report(urlPath, read)
  } else {
    const message = `${context.quote(urlPath)} is neither a URL nor a preset`
    const cure = suggestName(setting.url, [...context.presets.keys()])
    context.report(urlPath, { message, cure })
  }
}
