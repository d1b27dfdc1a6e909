package testpicture

// NAL unit headers: nal_ref_idc 3 or 2, and the type.
const (
	nalSPS   = 0x67
	nalPPS   = 0x68
	nalIDR   = 0x65
	nalSlice = 0x41
)

// log2MaxFrameNum is enough for any spacing of IDRs: frame_num may wrap.
const log2MaxFrameNum = 8

// level returns the level_idc (Table A-1) that the size and rate need.
func level(mbs, rate int) uint32 {
	for _, l := range []struct {
		idc               uint32
		frameMBs, mbsRate int
	}{
		{21, 792, 19800},
		{30, 1620, 40500},
		{31, 3600, 108000},
		{32, 5120, 216000},
		{40, 8192, 245760},
		{42, 8704, 522240},
		{51, 36864, 983040},
	} {
		if mbs <= l.frameMBs && mbs*rate <= l.mbsRate {
			return l.idc
		}
	}
	return 52
}

// sps returns the sequence parameter set.
func sps(width, height, rate int) []byte {
	mbw, mbh := (width+15)/16, (height+15)/16
	var w bitWriter
	w.u(66, 8)   // profile_idc: Baseline
	w.u(0xC0, 8) // constraint_set0, 1: Constrained Baseline
	w.u(level(mbw*mbh, rate), 8)
	w.ue(0)                   // seq_parameter_set_id
	w.ue(log2MaxFrameNum - 4) // log2_max_frame_num_minus4
	w.ue(2)                   // pic_order_cnt_type: output order is decoding order
	w.ue(1)                   // max_num_ref_frames
	w.flag(false)             // gaps_in_frame_num_value_allowed_flag
	w.ue(uint32(mbw - 1))
	w.ue(uint32(mbh - 1))
	w.flag(true) // frame_mbs_only_flag
	w.flag(true) // direct_8x8_inference_flag
	right, bottom := mbw*16-width, mbh*16-height
	w.flag(right|bottom != 0)
	if right|bottom != 0 {
		w.ue(0)
		w.ue(uint32(right / 2))
		w.ue(0)
		w.ue(uint32(bottom / 2))
	}
	w.flag(true) // vui_parameters_present_flag
	w.flag(true) // aspect_ratio_info_present_flag
	w.u(1, 8)    // square samples
	w.flag(false)
	w.flag(true)  // video_signal_type_present_flag
	w.u(5, 3)     // unspecified video format
	w.flag(false) // limited range
	w.flag(true)
	w.u(1, 8)     // colour_primaries: BT.709
	w.u(1, 8)     // transfer_characteristics: BT.709
	w.u(1, 8)     // matrix_coefficients: BT.709
	w.flag(false) // chroma_loc_info_present_flag
	w.flag(true)  // timing_info_present_flag
	w.u(1, 32)    // num_units_in_tick
	w.u(uint32(2*rate), 32)
	w.flag(false) // fixed_frame_rate_flag: a late frame is left out
	w.flag(false) // NAL HRD
	w.flag(false) // VCL HRD
	w.flag(false) // pic_struct_present_flag
	w.flag(true)  // bitstream_restriction_flag: so that a decoder shows each picture at once
	w.flag(true)
	w.ue(0)
	w.ue(0)
	w.ue(0)
	w.ue(0)
	w.ue(0) // max_num_reorder_frames
	w.ue(1) // max_dec_frame_buffering
	w.trailing()
	return w.nal(nalSPS)
}

// pps returns the picture parameter set for a fixed quantiser.
func pps(qp int) []byte {
	var w bitWriter
	w.ue(0)       // pic_parameter_set_id
	w.ue(0)       // seq_parameter_set_id
	w.flag(false) // CAVLC
	w.flag(false)
	w.ue(0) // one slice group
	w.ue(0) // num_ref_idx_l0_default_active_minus1
	w.ue(0)
	w.flag(false) // weighted prediction
	w.u(0, 2)
	w.se(int32(qp - 26))
	w.se(0)
	w.se(0)       // chroma_qp_index_offset
	w.flag(true)  // deblocking_filter_control_present_flag: it is turned off in the slices
	w.flag(false) // constrained_intra_pred_flag
	w.flag(false)
	w.trailing()
	return w.nal(nalPPS)
}
