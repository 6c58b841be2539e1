"""The icons in use, names of Material Symbols. ``manage.py dashboard_icons`` cuts the font.

The whole font has 290 kB; a page loads what stands here, some 20 kB.
"""

from __future__ import annotations

from typing import Final

# In unfold's own templates.
_FRAME: Final = """
    add arrow_back arrow_circle_down arrow_circle_up arrow_forward calendar_month cancel check
    check_circle check_small chevron_left chevron_right close computer dark_mode delete
    dock_to_right download drag_indicator edit edit_square error expand_more upload_file
    filter_list filter_list_off help history inbox info keyboard_arrow_down light_mode logout
    manage_search more_horiz more_vert open_in_new schedule search settings swap_vert today undo
    unfold_more upload visibility visibility_off warning
"""
# In ours.
_PAGES: Final = """
    account_circle account_tree api backspace block bolt build call call_end call_log call_made
    call_received cloud_off code content_copy dashboard database devices dialpad drafts
    description factory fiber_manual_record fingerprint graphic_eq group headphones hearing home
    hourglass_empty hub key keyboard link link_off list lock lock_reset manage_accounts mail mic
    mic_off more notifications numbers password pause payments person person_add
    person_remove phone_callback phone_disabled phone_forwarded phone_in_talk play_arrow
    publish qr_code radio_button_checked receipt_long record_voice_over refresh remove replay
    restart_alt rocket_launch save send settings_phone shield shield_lock
    signal_cellular_alt
    smart_toy sms speed stop stop_circle support_agent sync sync_problem task_alt terminal
    timeline timer tune verified_user voicemail volume_off volume_up vpn_key webhook
"""

ICONS: Final = tuple(sorted({*_FRAME.split(), *_PAGES.split()}))
