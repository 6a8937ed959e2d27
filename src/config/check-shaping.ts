import type { Segment } from '../routing/pattern.ts'
import { checkAnswer } from './check-answer.ts'
import type { CheckContext } from './check-context.ts'
import { checkCors } from './check-cors.ts'
import { checkHeaderRules, mergeHeaderRules } from './check-header-rules.ts'
import { checkDefaultRewrite, checkRewrite } from './check-rewrite.ts'
import type { RouteConfig } from './gateway-config.ts'
import type { Path } from './problems.ts'
import type { Settings } from './schema.ts'
import type { RouteSetting } from './schema-routes.ts'

/** What is done to requests and answers where a route says nothing itself. */
export type ShapingDefaults = Pick<RouteConfig, 'cors' | 'rewrite' | 'headers' | 'mode'>

export function checkShapingDefaults(settings: Settings, context: CheckContext): ShapingDefaults {
  return {
    cors: checkCors(settings.cors, ['cors'], context),
    rewrite: checkDefaultRewrite(settings, context),
    headers: checkHeaderRules(settings.headers, ['headers'], context),
    mode: settings.mode,
  }
}

/** What a route does to requests and answers on their way. */
export function checkShaping(
  setting: RouteSetting,
  segments: readonly Segment[],
  scope: {
    readonly fallback: ShapingDefaults
    readonly path: Path
    readonly context: CheckContext
  },
): Omit<ShapingDefaults, 'mode'> & Pick<RouteConfig, 'answer'> {
  const { fallback, path, context } = scope
  const { cors, rewrite, headers } = setting
  const answer = checkAnswer(setting, segments, { path, context })
  const rewritten = { fallback: fallback.rewrite, path: [...path, 'rewrite'], context }
  return {
    answer,
    cors: cors === undefined ? fallback.cors : checkCors(cors, [...path, 'cors'], context),
    rewrite: answer === null ? checkRewrite(rewrite, segments, rewritten) : null,
    headers:
      headers === undefined
        ? fallback.headers
        : mergeHeaderRules(
            fallback.headers,
            checkHeaderRules(headers, [...path, 'headers'], context),
          ),
  }
}
