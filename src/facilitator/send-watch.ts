import type { Dispatcher } from 'undici'

/**
 * Tells the moment a request is written to a connection. Until then it waits for a connection (name
 * look-up, TCP, TLS, or a free place in the pool), and nobody can have read any of it.
 */
export function watchSend(agent: Dispatcher, onSend: () => void): Dispatcher {
  return agent.compose(
    dispatch => (options, handler) => dispatch(options, watched(handler, onSend)),
  )
}

function watched(
  handler: Dispatcher.DispatchHandler,
  onSend: () => void,
): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller, context) {
      handler.onRequestStart?.(controller, context)
      // The handler drops a request here that was given up while it waited.
      if (!controller.aborted) onSend()
    },
    onRequestUpgrade: (...event) => handler.onRequestUpgrade?.(...event),
    onResponseStart: (...event) => handler.onResponseStart?.(...event),
    onResponseData: (...event) => handler.onResponseData?.(...event),
    onResponseEnd: (...event) => handler.onResponseEnd?.(...event),
    onResponseError: (...event) => handler.onResponseError?.(...event),
  }
}
