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
    account_circle call call_end call_made call_received code dashboard database dialpad
    description graphic_eq group headphones hearing home hub key keyboard link list lock mail
    mic mic_off more notifications numbers password pause person phone_forwarded phone_in_talk
    play_arrow publish record_voice_over refresh remove replay restart_alt save send smart_toy
    sms speed stop support_agent sync timeline timer tune volume_up vpn_key webhook
"""

ICONS: Final = tuple(sorted({*_FRAME.split(), *_PAGES.split()}))
