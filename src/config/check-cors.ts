import type { CheckContext } from './check-context.ts'
import { judgeHeader } from './check-headers.ts'
import { baseOf, readHttpUrl } from './check-url.ts'
import type { Path } from './problems.ts'
import type { CorsSetting } from './schema-shaping.ts'
import type { CorsConfig } from './shaping-config.ts'

/** The schema's form of `cors`, checked. */
export function checkCors(cors: CorsSetting, path: Path, context: CheckContext): CorsConfig | null {
  if (cors === 'off') return null
  const { origins, credentials, exposeHeaders, maxAge } = cors
  checkOrigins(origins, [...path, 'origins'], context)
  if (credentials && origins.includes('*')) {
    // Fetch standard, "CORS check": a browser takes "*" for no permission where cookies are sent.
    const message = 'cannot be on for every web page'
    const cure = 'Name the origins that may send cookies, or remove it.'
    context.report([...path, 'credentials'], { message, cure })
  }
  for (const [index, name] of exposeHeaders.entries()) {
    const finding = judgeHeader(name.toLowerCase(), '')
    if (finding !== null) context.report([...path, 'exposeHeaders', index], finding)
  }
  return { origins, credentials, exposeHeaders, maxAgeMs: maxAge }
}

function checkOrigins(origins: readonly string[], path: Path, context: CheckContext): void {
  for (const [index, origin] of origins.entries()) {
    if (origin === '*' && origins.length === 1) continue
    const read = readHttpUrl(origin)
    // A URL may have a star in its host, and no page's origin has one: they are compared whole.
    const isWhole = !origin.includes('*')
    if (isWhole && read.kind === 'url' && baseOf(read.url) === origin) continue
    const message = `${context.quote([...path, index])} is not a web origin`
    const cure = isWhole
      ? 'Write scheme and host in lower case, like https://app.example.com, or ["*"] alone.'
      : 'List each origin by its name: there are no wildcards, but ["*"] alone for all of them.'
    context.report([...path, index], { message, cure })
  }
}
