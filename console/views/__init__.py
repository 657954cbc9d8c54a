"""What a page shows, as frozen dataclasses: loaders fill them, templates read them; no words, no I/O, no clock.

A view-model carries facts (instants, stages, counts); the words are made of them by ``console.words`` and the
templates, in the reader's language. Names arrive already masked or in full, as the reader's scope allows.
``_at`` values are aware datetimes, ``_ms`` values milliseconds, URLs are paths of this site.

``console.views.registry.TEMPLATES`` lists every template with the class of its ``page`` and its address;
``console.rendering.render(template, shell=…, page=…, fragment=…)`` makes the HTML.

Forms (all POST, all with ``csrf``; a refused one is answered with the same page, ``Form.values`` as typed and
``Form.errors`` as ``{field: error word}`` below ``error.`` of the catalogues):

===================================  ==========================================================================
address                              fields
===================================  ==========================================================================
/sign-in                             name, password, next
/sign-out                            -
/sessions/{id}/end                   -
/admin/users/{name}/disable, enable  -
/language                            language (zh, en), next
/cases/{id}/claim, /release          -
/cases/{id}/note                     note
/cases/{id}/hold                     reason, until (local ``YYYY-MM-DDTHH:MM``)
/cases/{id}/hand-over                to_role, note
/cases/{id}/confirm-closing          confirmed (yes, no), note
/cases/{id}/reveal                   purpose
/tasks/{id}/begin                    -
/tasks/{id}/outcome                  outcome, contacted, witness, note, absence_until (local date-time)
/households/{id}/absences            reason, from, to (local date-times)
/households/{id}/absences/{n}/end    -
/households/{id}/presence            purpose
/family/{id}/spoke                   contacted (spoke, saw), witness
/family/{id}/away                    reason, from, to
/family/{id}/look                    note
/family/{id}/notices                 came_home, not_home (yes), by_time (``HH:MM``)
/police/look-up                      purpose, case_number, basis, door, building (several), unit, subject, from,
                                     to, reason, delay (local date-times)
/police/tickets/{id}/answer          answer (grant, refuse), reason, keep_delay (yes)
/police/tickets/{id}/review          review (justified, not_justified), reason, keep_delay (yes)
/police/tickets/{id}/withdraw        -
/police/tickets/{id}/export          -
/audit/{entry}/mark                  mark (justified, not_justified), reason
/quarantine/{id}/replay              -
/demo/clock                          act (pause, play, speed, next_crossing), speed
/demo/act                            act (open, shut, unplug, plug, kill_ingest, start_ingest), target
===================================  ==========================================================================

Live pages: ``shell.stream_url`` is an event stream (``text/event-stream``). Each event has an ``id`` and a name
(``cases``, ``states``, ``demo``, ``refetch``); its data is not read: the page asks again for its own fragments
(``?fragment=list``). An event ``alive`` every 15 s (scripts cannot see comment lines) shows that the line stands;
after the first one, 40 s without any greys the page. CSP needs no more
than ``default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action
'self'; base-uri 'none'; frame-ancestors 'none'``. Scripts are never needed.
"""
