import type { CheckContext } from './check-context.ts'
import { checkHeaders } from './check-headers.ts'
import { baseOf, readHttpUrl } from './check-url.ts'
import type { FacilitatorConfig, UpstreamConfig } from './gateway-config.ts'
import type { Path } from './problems.ts'
import type { Settings } from './schema.ts'
import type { FacilitatorSetting } from './schema-upstreams.ts'
import { suggestName } from './suggest.ts'

export function checkUpstreams(settings: Settings, context: CheckContext): UpstreamConfig[] {
  return Object.entries(settings.upstreams).map(([name, setting]) => {
    const path = ['upstreams', name]
    return {
      name,
      url: checkBaseUrl(setting.url, [...path, 'url'], context),
      headers: checkHeaders(setting.headers, [...path, 'headers'], context),
      connectTimeoutMs: setting.connectTimeout,
      maxConnections: setting.maxConnections,
    }
  })
}

function checkBaseUrl(text: string, path: Path, context: CheckContext): string {
  const read = readHttpUrl(text)
  if (read.kind === 'url') return baseOf(read.url)
  context.report(path, read)
  return ''
}

export function checkFacilitators(settings: Settings, context: CheckContext): FacilitatorConfig[] {
  const checked: FacilitatorConfig[] = []
  for (const [index, setting] of (settings.facilitators ?? []).entries()) {
    const path = ['facilitators', index]
    const place = findFacilitator(setting, path, context)
    if (place === null) continue
    const first = checked.findIndex(facilitator => facilitator.url === place.url)
    if (first !== -1) {
      const message = `is the same as facilitators[${first}]`
      context.report(path, { message, cure: 'Keep one of the two.' })
    }
    checked.push({
      name: uniqueName(place.name, checked),
      url: place.url,
      headers: checkHeaders(setting.headers, [...path, 'headers'], context),
      timeoutMs: setting.timeout,
      settleTimeoutMs: setting.settleTimeout,
    })
  }
  return checked
}

function findFacilitator(setting: FacilitatorSetting, path: Path, context: CheckContext) {
  const preset = context.presets.get(setting.url)
  if (preset !== undefined) return { name: setting.url, url: preset.url }
  const read = readHttpUrl(setting.url)
  if (read.kind === 'url') return { name: read.url.host, url: baseOf(read.url) }
  const urlPath = [...path, 'url']
  // Only what looks like a name is repeated: a URL may have a key in its path.
  if (!/^[\w.-]{1,40}$/.test(setting.url)) {
    context.report(urlPath, read)
  } else {
    const message = `${context.quote(urlPath)} is neither a URL nor a preset`
    const cure = suggestName(setting.url, [...context.presets.keys()])
    context.report(urlPath, { message, cure })
  }
  return null
}

/** Two paths of one host are two facilitators, and metrics tell them apart by name. */
function uniqueName(name: string, taken: readonly FacilitatorConfig[]): string {
  const names = new Set(taken.map(facilitator => facilitator.name))
  if (!names.has(name)) return name
  let number = 2
  while (names.has(`${name}#${number}`)) number++
  return `${name}#${number}`
}
