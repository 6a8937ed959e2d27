import type { CheckContext } from './check-context.ts'
import type { RouteConfig } from './gateway-config.ts'

/** Says aloud what is given away: nobody should find out from their accounts. */
export function noteShadow(routes: readonly RouteConfig[], context: CheckContext): void {
  const isOwn = ({ key }: RouteConfig): boolean => context.isWritten(['routes', key, 'mode'])
  const inShadow = routes.filter(({ mode }) => mode === 'shadow')
  const inherited = inShadow.filter(route => !isOwn(route)).length
  const cure = 'Write mode: enforce, or nothing, to be paid.'
  if (inherited > 0) {
    const message = `SHADOW MODE: priced routes that are served to everybody for nothing: ${inherited}`
    context.note(['mode'], { message, cure })
  }
  for (const { key } of inShadow.filter(isOwn)) {
    const message = 'SHADOW MODE: this priced route is served to everybody for nothing'
    context.note(['routes', key, 'mode'], { message, cure })
  }
}
